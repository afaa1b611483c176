//! Files that only their user can read, replaced as a whole, and the lock beside them.
//!
//! These are the rules of the history of past jobs, which `cfw-waiter` writes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::journal::START;
use super::problem::Problem;
use crate::streams;

/// How long the lock is waited for: the system may still be ending the process that held it.
const PATIENCE: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(20);

/// How a new file is named that is to replace the old one.
const NEW: &str = ".new";
const LOCK: &str = ".lock";

/// Most symbolic links that are followed one after the other, as in Linux.
const MOST_LINKS: usize = 40;

/// Returns the one name of a file, whatever links lead to it. It need not exist: a rename to a link would replace it, and the
/// file would not be where the user wants it.
pub(crate) fn follow(name: &Path) -> Result<PathBuf, Problem> {
    match fs::canonicalize(name) {
        Ok(path) => return Ok(path),
        // It is open, such as `/dev/stdin`, and was removed.
        Err(error) if fs::metadata(name).is_ok() => return Err(Problem::Read(error)),
        Err(_) => {}
    }
    let mut path = name.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    // What is wrong with it, a circle of links among the rest, shows when it is opened.
    Ok(path)
}

/// Checks that the file is not taken for one that is made beside another state file, which may replace or remove it.
pub(super) fn check_name(path: &Path) -> Result<(), Problem> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match [NEW, LOCK].into_iter().find(|ending| name.ends_with(ending)) {
        Some(ending) => Err(Problem::Reserved(ending)),
        None => Ok(()),
    }
}

/// Checks that no stream is the file: what is written would go into it, and what is recorded would be read.
pub(super) fn check_streams(path: &Path) -> Result<(), Problem> {
    streams::at(path).map_or(Ok(()), |name| Err(Problem::Stream(name)))
}

/// Takes the lock of the file beside `path`. The system frees it when its holder ends, however it does.
pub(super) fn lock(path: &Path) -> Result<File, Problem> {
    let lock = beside(path, LOCK);
    // Opening a named pipe would wait for its reader.
    if fs::metadata(&lock).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Problem::Lock(io::Error::other("its lock is not a regular file")));
    }
    let lock = make_lock(&lock, path).map_err(Problem::Write)?;
    take(&lock)?;
    Ok(lock)
}

fn make_lock(lock: &Path, path: &Path) -> io::Result<File> {
    // Before a lock is made that would keep the file's own user out.
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match private().create_new(true).open(lock) {
        Ok(file) => keep_owner(&file, path).map(|()| file).inspect_err(|_| {
            // The error counts.
            let _ = fs::remove_file(lock);
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            private().create(true).truncate(false).open(lock)
        }
        Err(error) => Err(error),
    }
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

/// Takes the lock of the open file.
#[expect(clippy::disallowed_methods, reason = "a fifth of a second, before the wait begins")]
fn take(file: &File) -> Result<(), Problem> {
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(Problem::Lock(error)),
            Err(TryLockError::WouldBlock) if waited >= PATIENCE => return Err(Problem::Busy),
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(RETRY);
                waited += RETRY;
            }
        }
    }
}

/// Replaces the file by one with this content, or makes it, and returns it open for writing. A process that dies meanwhile
/// leaves the old file or the new one, and so does a failure of the system until [`sync_folder`] has returned. After an error
/// the old file is as it was.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<File> {
    let new = beside(path, NEW);
    let write = || {
        check_only_name(path)?;
        check_leftover(&new)?;
        // One that a process left behind when it died may have another mode, or be a link.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().create_new(true).open(&new)?;
        keep_owner(&file, path)?;
        file.write_all(content)?;
        file.sync_all()?;
        #[cfg(unix)]
        file.lock()?;
        fs::rename(&new, path)?;
        Ok(file)
    };
    write().inspect_err(|_| {
        // The error counts. A full disk has room again.
        if check_leftover(&new).is_ok() {
            let _ = fs::remove_file(&new);
        }
    })
}

/// Checks that the file has no other name, which would go on naming what is replaced: two commands could use the two.
#[cfg(unix)]
fn check_only_name(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    match fs::metadata(path) {
        Ok(metadata) if metadata.nlink() > 1 => {
            Err(io::Error::other("it has other names, which are hard links; remove them"))
        }
        _ => Ok(()),
    }
}

/// Other systems do not tell.
#[cfg(not(unix))]
fn check_only_name(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Checks that a file in the way of the new one is what this command leaves behind when it dies, and not a file of the user.
pub(super) fn check_new(path: &Path) -> io::Result<()> {
    check_leftover(&beside(path, NEW))
}

fn check_leftover(new: &Path) -> io::Result<()> {
    let in_the_way = || {
        let name = new.display().to_string();
        io::Error::other(format!("{name:?} is in the way, and is left as it is"))
    };
    match fs::symlink_metadata(new) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) if metadata.is_dir() => return Err(in_the_way()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(()),
    }
    let mut start = Vec::new();
    File::open(new)?.take(START.len() as u64).read_to_end(&mut start)?;
    // A failure of the system may leave zeros.
    if START.starts_with(&start) || start.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err(in_the_way())
}

/// Opens the file for writing, and locks it as well: someone may have removed the lock beside it. Returns `None` if there
/// is no file.
pub(super) fn open(path: &Path) -> Result<Option<File>, Problem> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Problem::Write(error)),
    };
    // Elsewhere a locked file cannot be read, and an open one cannot be removed.
    if cfg!(unix) {
        take(&file)?;
        if is_current(&file, path).map_err(Problem::Write)? != Some(true) {
            // Its holder has just replaced it.
            return Err(Problem::Busy);
        }
    }
    Ok(Some(file))
}

/// Takes the rights of others away.
#[cfg(unix)]
pub(super) fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
pub(super) fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// Returns whether the path still names the open file, or `None` if it names nothing.
#[cfg(unix)]
pub(super) fn is_current(file: &File, path: &Path) -> io::Result<Option<bool>> {
    use std::os::unix::fs::MetadataExt as _;

    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok(Some((named.dev(), named.ino()) == (own.dev(), own.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Other systems do not let others remove an open file.
#[cfg(not(unix))]
pub(super) fn is_current(_: &File, _: &Path) -> io::Result<Option<bool>> {
    Ok(Some(true))
}

/// Makes the name of a new file last. A name is an entry of its folder.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    match synced.as_ref().map_err(io::Error::kind) {
        // Some file systems have no such thing.
        Err(io::ErrorKind::InvalidInput) => Ok(()),
        // A folder that its user cannot read cannot be synced alone.
        Err(io::ErrorKind::PermissionDenied) => {
            nix::unistd::sync();
            Ok(())
        }
        _ => synced,
    }
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns the options for files that are written, which only their user can read or write.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
