//! The thread that reads the sources.
//!
//! It reads on when the lines before have been taken and recorded. So a process that is killed has lost one read at most of what
//! came through a pipe, and one that ends in an orderly way has lost none.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};

use super::{BadLine, Job, Line, Source, read};

/// The most bytes that one read takes from a pipe. They are lost if the process is killed before it has recorded their lines.
const PIPE_READ: usize = 8 << 10;

/// The most bytes that one read takes from a file, which can be read again.
const FILE_READ: usize = 64 << 10;

/// The lines that one read has brought. The thread reads on when this is dropped.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) lines: Vec<Line>,
    _read_on: oneshot::Sender<()>,
}

/// The lines of the sources.
#[derive(Debug)]
pub(crate) struct Lines {
    batches: mpsc::Receiver<Batch>,
    is_idle: watch::Receiver<bool>,
    is_stopped: Arc<AtomicBool>,
}

impl Lines {
    /// Reads the sources, one after another, on a new thread.
    ///
    /// The thread is never joined, because a read from a terminal or an idle pipe cannot be interrupted.
    /// A blocking task of the runtime would delay the end of the process.
    ///
    /// # Errors
    ///
    /// Returns an error if the system refuses a thread.
    pub(crate) fn read(sources: Vec<Source>) -> io::Result<Self> {
        let (sender, batches) = mpsc::channel(1);
        let (idle_sender, is_idle) = watch::channel(false);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            batches: sender,
            is_idle: idle_sender,
            is_stopped: Arc::clone(&is_stopped),
            lines: RefCell::default(),
            is_over: Cell::new(false),
        };
        thread::Builder::new()
            .name("cfw-wait-input".to_owned())
            .spawn(move || reader.read_all(sources))?;
        Ok(Self { batches, is_idle, is_stopped })
    }

    /// Returns the next lines, or `None` after the last ones.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no lines are lost.
    pub(crate) async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// Reads no more, and returns lines that have been read before; `None` after the last ones. A line of which only a part has
    /// been read is none of them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no lines are lost.
    pub(crate) async fn next_of_rest(&mut self) -> Option<Batch> {
        self.is_stopped.store(true, Ordering::SeqCst);
        tokio::select! {
            biased;
            batch = self.batches.recv() => batch,
            // It waits for input that may never come.
            _ = self.is_idle.wait_for(|is_idle| *is_idle) => self.batches.try_recv().ok(),
        }
    }
}

/// What the thread works with.
struct Reader {
    batches: mpsc::Sender<Batch>,
    /// The thread waits for input, and has handed over all lines.
    is_idle: watch::Sender<bool>,
    is_stopped: Arc<AtomicBool>,
    /// Lines that are not handed over yet.
    lines: RefCell<Vec<Line>>,
    /// No line is wanted any more.
    is_over: Cell<bool>,
}

impl Reader {
    fn read_all(&self, sources: Vec<Source>) {
        for source in sources {
            if self.is_over.get() {
                return;
            }
            self.read_source(source);
        }
    }

    fn read_source(&self, source: Source) {
        let path = source.path().cloned();
        let send = |line: Result<Job, (u64, String)>| {
            let is_wanted = !self.is_over.get();
            if is_wanted {
                let path = path.clone();
                let line = line.map_err(|(number, problem)| BadLine { path, number, problem });
                self.lines.borrow_mut().push(line);
            }
            is_wanted
        };
        match source {
            Source::Stdin => read(self.buffer(PIPE_READ, io::stdin().lock()), send),
            Source::File { file, .. } => read(self.buffer(FILE_READ, file), send),
            Source::Pipe { path } => match self.idle(|| File::open(&*path)) {
                Ok(pipe) => read(self.buffer(PIPE_READ, pipe), send),
                Err(error) => drop(send(Err((1, format!("cannot be read: {error}"))))),
            },
        }
        self.hand_over();
    }

    fn buffer<R: Read>(&self, size: usize, source: R) -> BufReader<Recorded<'_, R>> {
        BufReader::with_capacity(size, Recorded { source, reader: self })
    }

    /// Does what may wait for others.
    fn idle<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.is_idle.send_replace(true);
        let result = wait();
        self.is_idle.send_replace(false);
        result
    }

    /// Hands the lines over, and waits until they are recorded. Returns whether more are wanted.
    fn hand_over(&self) -> bool {
        let lines = self.lines.take();
        if !lines.is_empty() {
            let (sender, recorded) = oneshot::channel();
            if self.batches.blocking_send(Batch { lines, _read_on: sender }).is_err() {
                self.is_over.set(true);
            }
            // The sender is dropped, and never used.
            let _ = recorded.blocking_recv();
        }
        if self.is_stopped.load(Ordering::SeqCst) {
            self.is_over.set(true);
        }
        !self.is_over.get()
    }
}

/// A source of which no more is read until the lines before are recorded.
struct Recorded<'a, R> {
    source: R,
    reader: &'a Reader,
}

impl<R: Read> Read for Recorded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.reader.hand_over() {
            // Not the end of the input, after which a part of a line would be a line.
            return Err(io::Error::other("no more is wanted"));
        }
        self.reader.idle(|| self.source.read(buffer))
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::OwnedFd;

    use super::*;

    fn pipe() -> (Lines, io::PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        let file = File::from(OwnedFd::from(reader));
        (Lines::read(vec![Source::File { path: "pipe".into(), file }]).unwrap(), writer)
    }

    fn ids(batch: &Batch) -> Vec<&str> {
        batch.lines.iter().map(|line| line.as_ref().unwrap().id.as_str()).collect()
    }

    #[tokio::test]
    async fn it_reads_on_when_the_lines_before_are_recorded() {
        let (mut lines, mut writer) = pipe();
        writer.write_all(b"a\nb\nc").unwrap();
        let batch = lines.next().await.unwrap();
        assert_eq!(ids(&batch), ["a", "b"]);
        writer.write_all(b"d\ne\n").unwrap();
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
            assert!(
                lines.batches.is_empty() && !*lines.is_idle.borrow(),
                "the batch is not dropped"
            );
        }
        drop(batch);
        assert_eq!(ids(&lines.next().await.unwrap()), ["cd", "e"]);
        drop(writer);
        assert!(lines.next().await.is_none());
    }

    #[tokio::test]
    async fn the_rest_is_what_has_been_read_and_no_part_of_a_line() {
        let (mut lines, mut writer) = pipe();
        writer.write_all(b"a\nb\nc").unwrap();
        while lines.batches.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(ids(&lines.next_of_rest().await.unwrap()), ["a", "b"]);
        assert!(lines.next_of_rest().await.is_none(), "not the id c, whose line may go on");
        // A reader that waits for input has nothing.
        let (mut lines, mut writer) = pipe();
        writer.write_all(b"a\n").unwrap();
        drop(lines.next().await.unwrap());
        lines.is_idle.wait_for(|is_idle| *is_idle).await.unwrap();
        assert!(lines.next_of_rest().await.is_none());
    }
}
