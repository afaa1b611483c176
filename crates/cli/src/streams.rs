//! Standard output and standard error, also if they are non-blocking.
//!
//! `O_NONBLOCK` belongs to the pipe or the terminal and not to the process: ssh(1), Node.js and others leave it behind for all
//! that share it. A full pipe then refuses bytes, where a blocking one makes the writer wait.

use std::io::{self, Write};
use std::path::Path;

/// Standard output, which is buffered by the line.
pub(crate) fn stdout() -> Blocking<io::StdoutLock<'static>> {
    Blocking(io::stdout().lock())
}

/// Standard error, which is not buffered.
pub(crate) fn stderr() -> Blocking<io::StderrLock<'static>> {
    Blocking(io::stderr().lock())
}

/// A stream whose writes wait until the reader has made room.
pub(crate) struct Blocking<W>(W);

impl<W: Stream> Write for Blocking<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(&self.0, error)?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        loop {
            match self.0.flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(&self.0, error)?,
                flushed => return flushed,
            }
        }
    }
}

#[cfg(unix)]
pub(crate) trait Stream: Write + std::os::fd::AsFd {}
#[cfg(unix)]
impl<W: Write + std::os::fd::AsFd> Stream for W {}

#[cfg(not(unix))]
pub(crate) trait Stream: Write {}
#[cfg(not(unix))]
impl<W: Write> Stream for W {}

/// Waits until the stream takes bytes, or its reader is gone, which the next write tells.
#[cfg(unix)]
fn wait(stream: &impl Stream, _: io::Error) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Other systems have no such streams.
#[cfg(not(unix))]
fn wait(_: &impl Stream, error: io::Error) -> io::Result<()> {
    Err(error)
}

/// Returns the name of the standard stream that is the regular file at this path.
#[cfg(unix)]
pub(crate) fn at(path: &Path) -> Option<&'static str> {
    use std::fs;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let file = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let named = fs::metadata(path).ok().filter(fs::Metadata::is_file).map(file)?;
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let streams = [
        ("standard input", stdin.as_fd()),
        ("standard output", stdout.as_fd()),
        ("standard error", stderr.as_fd()),
    ];
    let is_named = |(_, stream): &(_, std::os::fd::BorrowedFd<'_>)| {
        // A stream that cannot be looked at is reported when it is written.
        let stream = stream.try_clone_to_owned().map(fs::File::from);
        stream.and_then(|stream| stream.metadata()).is_ok_and(|stream| file(stream) == named)
    };
    streams.into_iter().find(is_named).map(|(name, _)| name)
}

/// On other systems nothing tells which file a stream is.
#[cfg(not(unix))]
pub(crate) fn at(_: &Path) -> Option<&'static str> {
    None
}
