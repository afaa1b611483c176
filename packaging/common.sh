# Sourced by the scripts of this folder: where things are, and what they share.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
dist=$target/dist
mkdir -p "$dist"

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# Times in packages are those of the commit, so that two builds of it have the same files.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# No binary names a folder of the machine that built it: neither those of sources in panics, nor those of C files.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
for from in "$root=." "$cargo_home=cargo"; do
  RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$from"
  CFLAGS="${CFLAGS:-} -ffile-prefix-map=$from"
done
export RUSTFLAGS CFLAGS

# names_no_folder FILE: ends the script if a binary names one of these folders.
names_no_folder() {
  ! grep -aqF -e "$root/" -e "$cargo_home/" "$1" || die "$(basename "$1") names a folder of this machine"
}

# Prints that a step is left out, and why. The script goes on, or ends with 0.
skip() { printf 'skipped: %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# venv NAME REQUIREMENTS: makes a virtual environment below target/ and prints its path.
venv() {
  local path=$dist/venv-$1
  if ! cmp -s "$2" "$path/installed.txt"; then
    rm -rf "$path"
    python3 -m venv "$path"
    "$path/bin/pip" install --quiet --disable-pip-version-check --requirement "$2" >&2
    cp "$2" "$path/installed.txt"
  fi
  printf '%s\n' "$path"
}

# The newest wheel of this version; empty if there is none.
wheel_file() { find "$dist" -maxdepth 1 -name "cfw_wait-$version-*.whl" -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2-; }
