//! `--state FILE`: what lets the same command go on after a crash.
//!
//! The file is a journal, to which records are appended. A job is recorded before its first poll, and an end before it is
//! reported; that it was reported is recorded after. So no end is lost, and one of which a crash left it open whether it was
//! reported is reported again, with a flag. The journal is replaced by a shorter one when most of it is outdated.

mod file;
#[cfg(test)]
pub(crate) mod fuzzing;
mod journal;
mod place;
mod problem;

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use cfw_waiter::{JobCheckpoint, JobState};

pub(crate) use self::file::follow;
pub(crate) use self::journal::{End, Entry, Own, Report};
use self::journal::{Journal, Parsed, Record, Rejected};
pub(crate) use self::place::Place;
pub(crate) use self::problem::Problem;
use crate::exit::CliError;
use crate::input::BadLine;

/// More than a file of a million jobs has.
const LARGEST: u64 = 1 << 30;

/// More than the first line has.
const HEADER: usize = 1 << 16;

/// The file may be this much longer than twice its shortest content.
const SLACK: u64 = 64 << 10;

/// The most lines that were rejected of which the file has a record.
const MAX_REJECTED: usize = 1_000;

/// The most characters that are kept of what is wrong with a line.
const MAX_MESSAGE: usize = 400;

/// The state file of a run, which is locked while this lives.
#[derive(Debug)]
pub(crate) struct State {
    /// As the user named it.
    name: PathBuf,
    /// Without symbolic links, so that all names of the file have one lock.
    path: PathBuf,
    file: File,
    _lock: File,
    journal: Journal,
    /// Records that are not written yet.
    pending: Vec<u8>,
    /// The length of what was written.
    len: u64,
    /// The length of the shortest content when it was determined last, and of the jobs since.
    shortest: u64,
    /// The file is not replaced by a shorter one before it has this length, after an attempt that failed.
    retry_at: u64,
    /// More follows in the file, which a crash left of a record.
    is_cut: bool,
    /// All that was written is safe from a failure of the system.
    is_synced: bool,
    /// And so is the name of the file.
    is_name_synced: bool,
}

impl State {
    /// Opens the file, or makes it if `may_create`, and takes its lock.
    ///
    /// # Errors
    ///
    /// Returns an error that names the file if it cannot be used. It is left as it is then.
    pub(crate) fn open(name: &Path, place: Place, may_create: bool) -> Result<Self, CliError> {
        open(name, place, may_create).map_err(|problem| error(name, &problem))
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        self.journal.entries()
    }

    /// Returns the lines that the last run has rejected, unless it came to its end by itself.
    pub(crate) fn rejected(&self) -> Vec<BadLine> {
        let rejected = self.journal.rejected().iter();
        rejected
            .map(|Rejected { file, line, message }| BadLine {
                path: file.as_deref().map(Into::into),
                number: *line,
                problem: message.clone(),
            })
            .collect()
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.journal.get(id).is_some()
    }

    /// Returns the name of the file, as the user gave it.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Records that a job is waited for. [`sync`](Self::sync) must follow before its first poll.
    pub(crate) fn add(&mut self, job: JobCheckpoint, own: Own) -> Result<(), CliError> {
        self.record(Record::waiting(job, own))
    }

    /// Records a line that does not describe a job, unless the file has as many as it may have. Returns whether it is news.
    /// [`sync`](Self::sync) must follow before it is reported.
    pub(crate) fn reject(&mut self, bad: &BadLine) -> Result<bool, CliError> {
        let rejected = Rejected {
            file: bad.path.as_deref().map(str::to_owned),
            line: bad.number,
            message: bad.problem.chars().take(MAX_MESSAGE).collect(),
        };
        let known = self.journal.rejected();
        if known.contains(&rejected) {
            return Ok(false);
        }
        if known.len() < MAX_REJECTED {
            self.record(Record::Rejected(rejected))?;
        }
        Ok(true)
    }

    /// Records the status of a job, and its polls.
    pub(crate) fn observe(
        &mut self,
        id: &str,
        state: &JobState,
        polls: u32,
    ) -> Result<(), CliError> {
        let Some(Entry { job, end: None, .. }) = self.journal.get(id) else { return Ok(()) };
        if !journal::is_live(state.phase) {
            return Ok(());
        }
        let mut job = job.clone();
        (job.status, job.polls) = (Some((state.phase, state.status.clone())), polls);
        self.progress([job])
    }

    /// Records how far the waits have come.
    pub(crate) fn progress(
        &mut self,
        jobs: impl IntoIterator<Item = JobCheckpoint>,
    ) -> Result<(), CliError> {
        for new in jobs {
            let Some(Entry { job, own, end: None, .. }) = self.journal.get(new.id.as_str()) else {
                continue;
            };
            if journal::is_progress(job, &new) {
                // The times stay: they would drift with each reading of the clock.
                let job = JobCheckpoint::clone(job);
                let own = own.clone();
                self.record(Record::waiting(with_progress(job, new), own))?;
            }
        }
        Ok(())
    }

    /// Records the end of a wait. [`sync`](Self::sync) must follow before it is reported.
    pub(crate) fn end(&mut self, end: End) -> Result<(), CliError> {
        self.record(Record::Ended(end))
    }

    /// Records that the end of a job was reported.
    pub(crate) fn reported(&mut self, id: &str) -> Result<(), CliError> {
        match self.journal.get(id) {
            Some(Entry { end: Some(End { report: Some(_), .. }), .. }) => {
                self.record(Record::reported(id))
            }
            _ => Ok(()),
        }
    }

    /// Records that the run came to its end by itself.
    pub(crate) fn finish(&mut self) -> Result<(), CliError> {
        if !self.journal.is_finished() {
            self.record(Record::Finished {})?;
        }
        self.sync()
    }

    fn record(&mut self, record: Record) -> Result<(), CliError> {
        let len = self.pending.len();
        let written = record.write(&mut self.pending).map_err(io::Error::from);
        written.map_err(|problem| self.error(&Problem::Write(problem)))?;
        if let Record::Waiting(waiting) = &record
            && self.journal.get(waiting.id()).is_none()
        {
            self.shortest += (self.pending.len() - len) as u64;
        }
        let applied = self.journal.apply(record);
        applied.map_err(|problem| self.error(&Problem::Write(io::Error::other(problem))))
    }

    /// Writes all records, so that they outlive the process.
    pub(crate) fn write(&mut self) -> Result<(), CliError> {
        self.append().map_err(|problem| self.error(&problem))
    }

    /// Writes all records, so that they outlive the system.
    pub(crate) fn sync(&mut self) -> Result<(), CliError> {
        self.append()
            .and_then(|()| self.sync_file().map_err(Problem::Write))
            .map_err(|problem| self.error(&problem))
    }

    fn sync_file(&mut self) -> io::Result<()> {
        if !self.is_synced {
            self.file.sync_data()?;
            self.is_synced = true;
        }
        if !self.is_name_synced {
            file::sync_folder(&self.path)?;
            self.is_name_synced = true;
        }
        Ok(())
    }

    fn append(&mut self) -> Result<(), Problem> {
        if self.pending.is_empty() {
            return Ok(());
        }
        match file::is_current(&self.file, &self.path).map_err(Problem::Write)? {
            Some(true) => {}
            Some(false) => return Err(Problem::Replaced),
            // A program that tidies up is no reason to forget the jobs.
            None => return self.compact(),
        }
        let found = self.file.metadata().map_err(Problem::Write)?.len();
        match found {
            0 => return self.compact(),
            // What follows the last record is what a crash left of one.
            _ if found == self.len || self.is_cut && found > self.len => {}
            // A record appended to it would stand in the middle of what another program wrote, or behind a hole.
            _ => return Err(Problem::Changed),
        }
        let len = self.len + self.pending.len() as u64;
        if len > LARGEST {
            return self.compact();
        }
        if len > self.shortest.saturating_mul(2).saturating_add(SLACK).max(self.retry_at) {
            match self.compact() {
                Ok(()) => return Ok(()),
                // A full disk may have room for some records all the same.
                Err(_) => self.retry_at = len + SLACK.max(self.shortest / 4),
            }
        }
        if self.is_cut {
            self.file.set_len(self.len).map_err(Problem::Write)?;
            self.is_cut = false;
        }
        if let Err(error) = self.file.write_all(&self.pending) {
            // A part of a record is no harm, but the file is to be as it was.
            let _ = self.file.set_len(self.len);
            let _ = self.file.seek(SeekFrom::Start(self.len));
            return Err(Problem::Write(error));
        }
        self.pending.clear();
        (self.len, self.is_synced) = (len, false);
        Ok(())
    }

    /// Replaces the file by its shortest content, pending records included.
    fn compact(&mut self) -> Result<(), Problem> {
        let image = self.journal.image().map_err(|error| Problem::Write(error.into()))?;
        if image.len() as u64 > LARGEST {
            return Err(Problem::TooLarge(LARGEST));
        }
        self.file = file::replace(&self.path, &image).map_err(Problem::Write)?;
        self.pending.clear();
        self.len = image.len() as u64;
        (self.shortest, self.retry_at, self.is_cut) = (self.len, 0, false);
        (self.is_synced, self.is_name_synced) = (true, false);
        Ok(())
    }

    fn error(&self, problem: &Problem) -> CliError {
        error(&self.name, problem)
    }
}

fn with_progress(mut old: JobCheckpoint, new: JobCheckpoint) -> JobCheckpoint {
    (old.polls, old.status) = (new.polls, new.status);
    old
}

fn error(name: &Path, problem: &Problem) -> CliError {
    CliError::misconfigured(format!("--state {:?}: {problem}", name.display().to_string()))
}

fn open(name: &Path, place: Place, may_create: bool) -> Result<State, Problem> {
    place.check()?;
    let path = follow(name)?;
    file::check_name(&path)?;
    // Before anything is made beside a file that is not ours.
    match look(&path)? {
        Look::Absent if !may_create => return Err(Problem::Missing),
        Look::Absent | Look::Ours => {}
    }
    file::check_streams(&path)?;
    let lock = file::lock(&path)?;
    let file = file::open(&path)?;
    let text = read(&path)?;
    file::check_new(&path).map_err(Problem::Write)?;
    let Some(mut file) = file.filter(|_| !text.is_empty()) else {
        let journal = Journal::new(place);
        let image = journal.image().map_err(|error| Problem::Write(error.into()))?;
        let file = file::replace(&path, &image).map_err(Problem::Write)?;
        return Ok(State::new(name, path, (file, lock), journal, image.len() as u64));
    };
    let Parsed { mut journal, len } = Journal::parse(&text)?;
    let place = place.merge(journal.place.clone())?;
    let is_news = place != journal.place;
    journal.place = place;
    file::make_private(&file).map_err(Problem::Write)?;
    let (is_cut, len) = (len < text.len(), len as u64);
    file.seek(SeekFrom::Start(len)).map_err(Problem::Write)?;
    let shortest = journal.image().map_err(|error| Problem::Write(error.into()))?.len() as u64;
    let mut state = State::new(name, path, (file, lock), journal, len);
    // The process before may have died between writing and syncing.
    (state.shortest, state.is_cut, state.is_synced) = (shortest, is_cut, false);
    if is_news {
        // The jobs of this run are there, and the next one must know.
        state.compact()?;
    }
    Ok(state)
}

impl State {
    fn new(name: &Path, path: PathBuf, files: (File, File), journal: Journal, len: u64) -> Self {
        let (file, lock) = files;
        Self {
            name: name.to_owned(),
            path,
            file,
            _lock: lock,
            journal,
            pending: Vec::new(),
            len,
            shortest: len,
            retry_at: 0,
            is_cut: false,
            is_synced: true,
            // The process before may have died as soon as the file had its name.
            is_name_synced: false,
        }
    }
}

enum Look {
    /// No file, or an empty one.
    Absent,
    Ours,
}

/// Looks at what is there without changing anything. To open a named pipe would wait for its writer.
fn look(path: &Path) -> Result<Look, Problem> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(Problem::Directory),
        Ok(metadata) if !metadata.is_file() => return Err(Problem::NotRegular),
        Ok(metadata) if metadata.len() == 0 => return Ok(Look::Absent),
        Ok(metadata) if metadata.len() > LARGEST => return Err(Problem::TooLarge(LARGEST)),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Absent),
        Err(error) => return Err(Problem::Read(error)),
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(Problem::Read)?;
    file.take(HEADER as u64).read_to_end(&mut start).map_err(Problem::Read)?;
    journal::parse_header(&start).map(|_| Look::Ours)
}

/// Reads the file. One that does not exist is empty.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::Read(error)),
    };
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(Problem::Read)?;
    if text.len() as u64 > LARGEST { Err(Problem::TooLarge(LARGEST)) } else { Ok(text) }
}

#[cfg(test)]
mod tests;
