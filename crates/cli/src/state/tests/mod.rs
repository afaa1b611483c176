//! Tests of the state file, on disk and of its content.

mod content;
mod disk;
mod records;
#[cfg(unix)]
mod unix;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cfw_waiter::{JobId, WaitErrorKind};

use super::*;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("cfw-wait-state-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("jobs.state")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn job(id: &str) -> JobCheckpoint {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    JobCheckpoint::new(id, now, Duration::from_secs(900))
}

fn end(id: &str, error: Option<WaitErrorKind>) -> End {
    let id_text = serde_json::to_string(id).unwrap();
    let object = format!(r#"{{"type":"ended","job_id":{id_text},"error":{{"class":"fatal"}}}}"#);
    let object = serde_json::value::RawValue::from_string(object).unwrap();
    let report = Report { elapsed_ms: 1, text: "ended\nwell".to_owned(), object };
    End::new(&JobId::from(id), error, error.map(|kind| kind.as_str().to_owned()), report)
}

fn open(path: &Path) -> Result<State, String> {
    State::open(path, Place::default(), true).map_err(|error| error.message.unwrap())
}

fn image(journal: &Journal) -> String {
    String::from_utf8(journal.image().unwrap()).unwrap()
}

fn running(polls: u32) -> JobCheckpoint {
    let mut job = job("a");
    (job.polls, job.status) = (polls, Some((cfw_waiter::Phase::Running, "Running".into())));
    job
}

fn bad_line(number: u64, problem: &str) -> BadLine {
    BadLine { path: None, number, problem: problem.to_owned() }
}
