# Sourced after common.sh: commands whose output becomes a file of docs/transcripts. What differs between two runs
# or machines is masked, so that a change of a transcript is a change of behaviour.
work=$(mktemp -d)
simulator=
trap 'stop_simulator; rm -rf "$work"' EXIT
failed=()

mask() {
  sed -E \
    -e "s#$work#WORK#g; s#$root/##g; s#$root#.#g; s#$dist/?##g; s#(^|[[:space:]\"'=:])$HOME/#\1~/#g" \
    -e 's/127\.0\.0\.1:[0-9]+/127.0.0.1:PORT/g' \
    -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z/TIME/g' \
    -e 's/\[ ?[0-9]+:[0-9]{2}\]/[ M:SS]/g; s/\b[0-9]+:[0-9]{2}  /M:SS  /g' \
    -e 's/\b[0-9]+\.[0-9]+m?s\b/N s/g; s/\b[0-9]+ polls?\b/N polls/g; s/[0-9]+ of them failed/N of them failed/' \
    -e 's/[0-9]+ files, [0-9]+ KiB/N files, N KiB/' \
    -e 's/("(elapsed_ms|polls|total|answered|mean_lag_ms)"): ?[0-9]+/\1:N/g' \
    -e 's/"delta".*("msg": "non-zero)/\1/; s/"start": "[^"]*", //; s/"stdout": .*/.../' \
    -e 's/\b(pid|kill) [0-9]+/\1 PID/g; s/request [0-9a-f]{32}/request ID/g'
}

# expect CODE COMMAND: shows the shell command and what it prints, and checks its exit code.
expect() {
  local want=$1 code=0
  shift
  printf '$ %s\n' "$*"
  (cd "$work" && bash -c "$*") 2>&1 </dev/null || code=$?
  printf '(exit code %s)\n\n' "$code"
  # `set -e` does not hold where transcript calls, so a failure is kept in a file.
  [ "$code" = "$want" ] || { printf 'expected exit code %s\n\n' "$want"; : >"$work/failed"; }
}

# transcript NAME TITLE FUNCTION: runs a function whose output is the transcript, and notes a failure.
transcript() {
  local file=$root/docs/transcripts/$1.txt log=$work/$1.log code=0
  rm -f "$work/failed"
  (trap stop_simulator EXIT; printf '%s\n\n' "$2"; "$3") >"$log" 2>&1 || code=$?
  mask <"$log" >"$file"
  if [ "$code" = 0 ] && ! [ -e "$work/failed" ]; then printf 'ok: %s\n' "$1"; else
    printf 'FAILED: %s\n' "$1"
    sed 's/^/  /' "$file"
    failed+=("$1")
  fi
}

# start_simulator ARGUMENTS: starts a simulated service and exports what reaches it. The one before is stopped.
start_simulator() {
  stop_simulator
  eval "$(cfw-wait simulate --quiet "$@" &)"
  simulator=$CFW_SIMULATOR_PID
}
stop_simulator() {
  [ -z "$simulator" ] || kill "$simulator" 2>/dev/null || true
  simulator=
}

finish() {
  [ ${#failed[@]} = 0 ] || die "failed: ${failed[*]}"
}
