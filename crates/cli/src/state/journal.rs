//! What a state file says: a header, then one record in each line. Reading and applying them is pure.

use std::collections::HashMap;
use std::time::Duration;

use cfw_waiter::{JobCheckpoint, JobId, Phase, WaitErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::place::Place;
use super::problem::Problem;
use crate::ends;
use crate::printable::printable;

/// The version of the format. Fields may be added within a version, records may not.
pub(super) const VERSION: u64 = 1;

/// How the file begins, as this command writes it.
pub(super) const START: &[u8] = br#"{"cfw_wait_state":"#;

#[derive(Serialize, Deserialize)]
struct Header {
    cfw_wait_state: u64,
    #[serde(flatten)]
    place: Place,
}

/// One line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// The wait for a job begins, or has made progress. The record replaces all that is known of the job.
    Waiting(Waiting),
    /// The wait for a job has ended. It is recorded before it is reported.
    Ended(End),
    /// The end of a job was reported.
    Reported { job_id: String },
    /// A line of the input does not describe a job. It is recorded before it is reported.
    Rejected(Rejected),
    /// A run came to its end by itself. What follows belongs to the next one.
    Finished {},
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    job: JobCheckpoint,
    #[serde(flatten)]
    own: Own,
}

impl Waiting {
    pub(super) fn id(&self) -> &str {
        self.job.id.as_str()
    }
}

/// A line of the input that does not describe a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rejected {
    /// The path of the file, or `None` for standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    pub(crate) line: u64,
    pub(crate) message: String,
}

/// What the line of the input says of its job, instead of the flags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    #[serde(rename = "line_kind", default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(rename = "line_timeout_ms", default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
}

impl Own {
    pub(crate) fn new(kind: Option<String>, timeout: Option<Duration>) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self { kind, timeout_ms: timeout.map(millis) }
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }
}

/// The end of a wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct End {
    job_id: String,
    outcome: Ending,
    /// The reason of an end without success in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What is reported; nothing if it has been, and is needed no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<Report>,
}

/// The report of an end, which is made again if a crash left it open whether it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) elapsed_ms: u64,
    pub(crate) text: String,
    /// The object of the NDJSON, without version and time.
    pub(crate) object: Box<RawValue>,
}

/// The outcome of a wait: `None` is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
struct Ending(Option<WaitErrorKind>);

impl From<Ending> for &'static str {
    fn from(ending: Ending) -> Self {
        ends::name(ending.0)
    }
}

impl TryFrom<String> for Ending {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        ends::from_name(&name).map(Self).ok_or_else(|| format!("outcome {name:?} is not known"))
    }
}

impl End {
    pub(crate) fn new(
        job_id: &JobId,
        error: Option<WaitErrorKind>,
        reason: Option<String>,
        report: Report,
    ) -> Self {
        let job_id = job_id.as_str().to_owned();
        Self { job_id, outcome: Ending(error), reason, report: Some(report) }
    }

    /// Checks that what is reported is the end of this job.
    fn check(&self) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Object {
            r#type: String,
            job_id: String,
        }
        let Some(Report { object, .. }) = &self.report else { return Ok(()) };
        // An array would be read as well.
        let parsed = object.get().starts_with('{').then(|| serde_json::from_str(object.get()));
        match parsed {
            Some(Ok(Object { r#type, job_id })) if r#type == "ended" && job_id == self.job_id => {
                Ok(())
            }
            _ => Err(format!("the report of job {:?} is not of its end", self.job_id)),
        }
    }

    /// Returns why the wait ended, or `None` if the job succeeded.
    pub(crate) fn error(&self) -> Option<WaitErrorKind> {
        self.outcome.0
    }

    /// Returns whether the job itself has ended, and not only the wait for it.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.outcome.0, None | Some(WaitErrorKind::Failed))
    }
}

/// A job of the file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) job: JobCheckpoint,
    pub(crate) own: Own,
    pub(crate) end: Option<End>,
    /// The run of the end has come to its end by itself.
    pub(crate) is_past: bool,
}

/// The content of a state file.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) place: Place,
    /// In the order in which they were added.
    entries: Vec<Entry>,
    by_id: HashMap<JobId, usize>,
    /// Lines that the last run has rejected, unless it came to its end by itself.
    rejected: Vec<Rejected>,
    /// The last run came to its end by itself.
    is_finished: bool,
}

/// The content of a file, and how much of it counts.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) journal: Journal,
    /// The length without a last line that a crash has cut.
    pub(super) len: usize,
}

impl Journal {
    pub(super) fn new(place: Place) -> Self {
        let (entries, rejected) = (Vec::new(), Vec::new());
        Self { place, entries, by_id: HashMap::new(), rejected, is_finished: false }
    }

    /// Reads the content of a file. A last line without a line break is what a crash leaves of a record, and is ignored.
    pub(super) fn parse(text: &[u8]) -> Result<Parsed, Problem> {
        let mut lines =
            text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let header = lines.next().ok_or_else(|| Problem::Damaged(1, "is cut".to_owned()))?;
        let mut len = header.len();
        let mut journal = Self::new(parse_header(header)?);
        for (number, line) in (2..).zip(lines) {
            let damaged = |problem| Problem::Damaged(number, printable(problem));
            let record = serde_json::from_slice(line).map_err(|error| damaged(column(&error)))?;
            if let Record::Waiting(waiting) = &record {
                // It will be a part of a URL, and be shown on terminals.
                let id = cfw_api::JobId::new(waiting.id());
                id.map_err(|error| damaged(error.to_string()))?;
            }
            if let Record::Ended(end) = &record {
                end.check().map_err(damaged)?;
            }
            journal.apply(record).map_err(damaged)?;
            len += line.len();
        }
        Ok(Parsed { journal, len })
    }

    /// Applies a record.
    pub(super) fn apply(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Waiting(Waiting { job, own }) => {
                self.is_finished = false;
                let id = job.id.clone();
                let entry = Entry { job, own, end: None, is_past: false };
                match self.by_id.get(&id).and_then(|at| self.entries.get_mut(*at)) {
                    Some(known) => *known = entry,
                    None => {
                        self.by_id.insert(id, self.entries.len());
                        self.entries.push(entry);
                    }
                }
            }
            Record::Ended(end) => {
                self.is_finished = false;
                let entry = self.entry(&end.job_id)?;
                (entry.end, entry.is_past) = (Some(end), false);
            }
            Record::Reported { job_id } => {
                let entry = self.entry(&job_id)?;
                let end = entry.end.as_mut();
                end.ok_or_else(|| format!("job {job_id:?} has not ended"))?.report = None;
            }
            Record::Rejected(rejected) => {
                self.is_finished = false;
                if !self.rejected.contains(&rejected) {
                    self.rejected.push(rejected);
                }
            }
            Record::Finished {} if self.is_finished => {}
            Record::Finished {} => {
                self.is_finished = true;
                self.rejected.clear();
                for entry in self.entries.iter_mut().filter(|entry| entry.end.is_some()) {
                    entry.is_past = true;
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, id: &str) -> Result<&mut Entry, String> {
        let known = self.by_id.get(id).and_then(|at| self.entries.get_mut(*at));
        known.ok_or_else(|| format!("job {id:?} is not known"))
    }

    pub(super) fn get(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id).and_then(|at| self.entries.get(*at))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Returns the shortest content that says the same.
    pub(super) fn image(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut image = Vec::new();
        let place = self.place.clone();
        write_line(&mut image, &Header { cfw_wait_state: VERSION, place })?;
        for Entry { job, own, end, is_past } in &self.entries {
            let waiting = Waiting { job: job.clone(), own: own.clone() };
            write_line(&mut image, &Record::Waiting(waiting))?;
            if let Some(end) = end.as_ref().filter(|_| *is_past) {
                write_line(&mut image, &Record::Ended(end.clone()))?;
            }
        }
        if self.is_finished || self.entries.iter().any(|entry| entry.is_past) {
            write_line(&mut image, &Record::Finished {})?;
        }
        // The ends of the run that goes on.
        for Entry { end, .. } in self.entries.iter().filter(|entry| !entry.is_past) {
            if let Some(end) = end {
                write_line(&mut image, &Record::Ended(end.clone()))?;
            }
        }
        for rejected in &self.rejected {
            write_line(&mut image, &Record::Rejected(rejected.clone()))?;
        }
        Ok(image)
    }
}

impl Record {
    pub(super) fn waiting(job: JobCheckpoint, own: Own) -> Self {
        Self::Waiting(Waiting { job, own })
    }

    pub(super) fn reported(job_id: &str) -> Self {
        Self::Reported { job_id: job_id.to_owned() }
    }

    pub(super) fn write(&self, lines: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        write_line(lines, self)
    }
}

/// Checks that a file begins as a state file of this version does. `text` is its first line, and may be more.
pub(super) fn parse_header(text: &[u8]) -> Result<Place, Problem> {
    #[derive(Deserialize)]
    struct Version {
        cfw_wait_state: u64,
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let version = serde_json::from_slice(line).map_err(|error| match line.starts_with(START) {
        true => Problem::Damaged(1, printable(column(&error))),
        false => Problem::Foreign,
    });
    let version: Version = version?;
    if version.cfw_wait_state != VERSION {
        return Err(Problem::Version(version.cfw_wait_state));
    }
    let header: Header = serde_json::from_slice(line)
        .map_err(|error| Problem::Damaged(1, printable(column(&error))))?;
    Ok(header.place)
}

/// Returns whether a wait knows more than the file: only then is it worth a record.
pub(super) fn is_progress(old: &JobCheckpoint, new: &JobCheckpoint) -> bool {
    old.polls != new.polls || old.status != new.status
}

/// Returns the status as a checkpoint keeps it: that of a job that has not ended.
pub(super) fn is_live(phase: Phase) -> bool {
    !phase.is_terminal()
}

fn write_line(lines: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *lines, value)?;
    lines.push(b'\n');
    Ok(())
}

/// Describes an error without the number of the line, which is always 1.
fn column(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column", " at column")
}
