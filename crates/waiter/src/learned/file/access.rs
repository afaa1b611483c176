//! The lock beside a history, and how its file is replaced.
//!
//! The state file of the command keeps to the same rules, with errors and waits of its own.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Problem;
use super::format::FORMAT;

/// How long other writers are waited for. Each takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one writer is waited for: it may have been stopped, or hang.
const PATIENCE_FOR_ONE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(20);
/// The ending of the lock's name.
const LOCK: &str = ".lock";
/// The ending of the new file's name. It is one of our own: `.new` may well be a file of the user.
const NEW: &str = ".cfw-waiter-new";
/// The most symbolic links from a path to its file, as on Linux.
const MOST_LINKS: usize = 40;
/// What every history that this module writes begins with, before the name of its format.
const START: &str = "{\"format\":\"";

/// A history whose lock is held.
pub(super) struct Locked<'a> {
    path: &'a Path,
    lock: File,
}

/// Follows symbolic links to a file, which need not exist. A rename to the link would replace it, and leave its file without
/// what is learnt.
pub(super) fn follow(path: &Path) -> Result<PathBuf, Problem> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        // What is no link, or cannot be read, is for the caller to open.
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(Problem::Write(io::Error::other("too many symbolic links")))
}

/// Checks that a path names no device, pipe or socket. A device such as /dev/zero has no end, and opening a named pipe blocks
/// until it has a writer, or a reader; a rename would replace them. That a folder is no file is for the system to say.
pub(super) fn check_regular(path: &Path) -> Result<(), Problem> {
    let is_special = fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir());
    if is_special { Err(Problem::Special) } else { Ok(()) }
}

/// Checks that a file is not taken for one that is made beside another history, which may replace or remove it.
pub(super) fn check_name(path: &Path) -> Result<(), Problem> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match [NEW, LOCK].into_iter().find(|ending| name.ends_with(ending)) {
        Some(ending) => Err(Problem::Reserved(ending)),
        None => Ok(()),
    }
}

/// Checks that a file, if there is one, may be written to: a rename would replace a protected one all the same.
fn check_unprotected(path: &Path) -> Result<(), Problem> {
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Problem::Write(error)),
        _ => Ok(()),
    }
}

/// Opens the lock of a file, and makes it if need be.
fn open_lock(path: &Path) -> Result<File, Problem> {
    check_regular(path)?;
    check_name(path)?;
    // Before a lock is made that would keep the file's own user out.
    check_unprotected(path)?;
    let lock = beside(path, LOCK);
    // Opening a named pipe would wait for its reader.
    if fs::metadata(&lock).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Problem::Write(io::Error::other("its lock is not a regular file")));
    }
    let opened = match private().create_new(true).open(&lock) {
        Ok(file) => keep_owner(&file, path).map(|()| file).inspect_err(|_| {
            // The error counts.
            let _ = fs::remove_file(&lock);
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            private().create(true).truncate(false).open(&lock)
        }
        Err(error) => Err(error),
    };
    opened.map_err(Problem::Write)
}

/// Gives a file that was made to the owner of the one that it stands for: what the superuser writes is still the user's, and no
/// user takes the file of another one over.
#[cfg(unix)]
fn keep_owner(made: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};

    let owner = match fs::metadata(path) {
        Ok(metadata) => metadata.uid(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if made.metadata()?.uid() == owner { Ok(()) } else { fchown(made, Some(owner), None) }
}

/// Other systems keep the rights of the folder.
#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Checks that nothing is in the way of a new file but what a process left behind when it died.
fn check_new(path: &Path) -> Result<(), Problem> {
    let new = new_beside(path);
    match fs::symlink_metadata(&new) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(Problem::InTheWay(new)),
        Err(error) => return Err(Problem::Write(error)),
    }
    let start = [START, FORMAT].concat();
    let mut text = Vec::new();
    let file = File::open(&new).map_err(Problem::Write)?;
    file.take(start.len() as u64).read_to_end(&mut text).map_err(Problem::Write)?;
    // A failure of the system may leave zeros.
    let is_ours = start.as_bytes().starts_with(&text) || text.iter().all(|byte| *byte == 0);
    if is_ours { Ok(()) } else { Err(Problem::InTheWay(new)) }
}

impl<'a> Locked<'a> {
    /// Takes the lock of a file, which its holder frees within milliseconds, and the system when the holder dies.
    #[expect(
        clippy::disallowed_methods,
        reason = "this blocks, as all of file input and output does"
    )]
    pub(super) fn acquire(path: &'a Path) -> Result<Self, Problem> {
        let mut lock = open_lock(path)?;
        let (mut waited, mut waited_for_one) = (Duration::ZERO, Duration::ZERO);
        let mut last = stamp(path);
        loop {
            match lock.try_lock() {
                Ok(()) => {
                    let locked = Self { path, lock };
                    if locked.is_valid().map_err(Problem::Write)? {
                        return Ok(locked);
                    }
                    // The lock was removed, and another process may hold a new one.
                    lock = open_lock(path)?;
                }
                Err(TryLockError::Error(error)) => return Err(Problem::Write(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            let now = stamp(path);
            if now != last {
                (last, waited_for_one) = (now, Duration::ZERO);
            }
            if waited >= PATIENCE || waited_for_one >= PATIENCE_FOR_ONE {
                return Err(Problem::Busy);
            }
            std::thread::sleep(RETRY);
            waited += RETRY;
            waited_for_one += RETRY;
        }
    }

    /// Replaces the file by one with this content, or makes it. Returns false, and leaves the file as it is, if the lock was
    /// removed meanwhile: another process may have written since the file was read.
    pub(super) fn replace(&self, content: &[u8]) -> Result<bool, Problem> {
        check_new(self.path)?;
        let new = new_beside(self.path);
        let write = || {
            // The new file of the process that has the lock by now is not one to remove.
            if !self.is_valid()? {
                return Ok(false);
            }
            // One that a process left behind when it died may have another mode.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = private().create_new(true).open(&new)?;
            keep_owner(&file, self.path)?;
            file.write_all(content)?;
            file.sync_all()?;
            self.put_in_place(&file, &new)
        };
        write().map_err(|error| {
            // The error counts. A full disk has room again.
            if check_new(self.path).is_ok() {
                let _ = fs::remove_file(&new);
            }
            Problem::Write(error)
        })
    }

    /// Renames a new file to the one that it replaces. Returns false, and leaves that as it is, if the new file was replaced
    /// or the lock was removed meanwhile.
    pub(super) fn put_in_place(&self, file: &File, new: &Path) -> io::Result<bool> {
        // The new file of another process may be half written.
        if !is_named(file, new)? {
            return Ok(false);
        }
        if !self.is_valid()? {
            fs::remove_file(new)?;
            return Ok(false);
        }
        fs::rename(new, self.path)?;
        Ok(true)
    }

    /// Returns whether the lock still has its name: other processes take the lock of the file that has.
    fn is_valid(&self) -> io::Result<bool> {
        is_named(&self.lock, &beside(self.path, LOCK))
    }
}

/// Returns whether an open file is the one of this name, and not one that was removed.
#[cfg(unix)]
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Other systems do not let others remove an open file.
#[cfg(not(unix))]
fn is_named(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Checks that files can be made beside a history. While another process writes, its own show that they can.
pub(super) fn check_folder(path: &Path) -> Result<(), Problem> {
    let lock = open_lock(path)?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    check_new(path)?;
    let new = new_beside(path);
    let make = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = private().create_new(true).open(&new)?;
        let owned = keep_owner(&file, path);
        fs::remove_file(&new)?;
        owned
    };
    make().map_err(Problem::Write)
}

/// Returns what changes whenever a writer replaces the file.
fn stamp(path: &Path) -> Option<(std::time::SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn new_beside(path: &Path) -> PathBuf {
    beside(path, NEW)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Returns the options for files that are written, which only their user can read or write.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
