//! The Cloud Firewall as a source: its "List Job Status", and whether a firewall is gone.

use std::borrow::Cow;
use std::time::Duration;

use cfw_api::{Class, Client, Error, FirewallId, FirewallStatus, JobStatus};

use crate::{Attempt, ErrorClass, JobId, JobSource, JobState, Phase, Quota, SourceError};

/// One poll is one `GET /v3/{project_id}/jobs/{job_id}`. Credentials are the client's affair: it renews them
/// and resends once; what it reports as unauthorized is final.
impl JobSource for Client {
    async fn fetch(&self, id: &JobId, attempt: Attempt) -> Result<JobState, SourceError> {
        let id = cfw_api::JobId::try_from(id.shared())
            .map_err(|error| SourceError::new(ErrorClass::Fatal, error))?;
        match limited(self, attempt.timeout).list_job(&id).await {
            Ok(job) => Ok(state(job)),
            Err(error) => Err(source_error(error)),
        }
    }

    fn quota(&self) -> Option<Quota> {
        quota()
    }

    /// Renewing credentials is not counted as attempt time.
    fn fetch_timeout(&self, attempt_timeout: Duration) -> Duration {
        limited(self, attempt_timeout).longest_call()
    }
}

/// Tells whether a firewall is gone: a source of firewall ids rather than job ids, for waiting after
/// `Client::delete_firewall`.
///
/// Deleting answers with a job id, too, but whether that job can be asked for is documented nowhere, and a
/// job is often forgotten with what it deleted. That the firewall is gone is what one wants to know anyway. It
/// counts as gone when the service says so, does not list it, or lists it as deleted; then the wait succeeds,
/// with status `Gone`. If its deletion has failed, the wait fails. In any other state it goes on.
///
/// ```no_run
/// use cfw_waiter::{FirewallGone, Waiter};
///
/// # async fn f(client: cfw_api::Client, firewall: cfw_api::FirewallId) -> Result<(), Box<dyn std::error::Error>> {
/// client.delete_firewall(&firewall).await?;
/// Waiter::new(FirewallGone::new(client)).wait_for_job(firewall.as_str()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FirewallGone(Client);

impl FirewallGone {
    /// Asks through this client.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

impl JobSource for FirewallGone {
    async fn fetch(&self, id: &JobId, attempt: Attempt) -> Result<JobState, SourceError> {
        let id = FirewallId::new(id.as_str())
            .map_err(|error| SourceError::new(ErrorClass::Fatal, error))?;
        let client = limited(&self.0, attempt.timeout);
        let firewall = client.get_firewall(&id).await.map_err(source_error)?;
        Ok(match firewall.map(|firewall| firewall.status) {
            None | Some(FirewallStatus::Deleted) => JobState::succeeded().with_status("Gone"),
            Some(status @ FirewallStatus::DeletionFailed) => {
                JobState::failed().with_status(status.to_string())
            }
            Some(status @ FirewallStatus::Other(_)) => JobState::unknown(status.to_string()),
            Some(status) => JobState::running().with_status(status.to_string()),
        })
    }

    fn quota(&self) -> Option<Quota> {
        quota()
    }

    fn fetch_timeout(&self, attempt_timeout: Duration) -> Duration {
        limited(&self.0, attempt_timeout).longest_call()
    }
}

/// The same client, whose requests take no longer than an attempt may.
fn limited(client: &Client, timeout: Duration) -> Client {
    client.clone().limit_requests(timeout)
}

/// 50 polls per second, and as many at once: a quarter of the 200 calls per second that the service's manual
/// grants each API, so that others can use the key, too.
fn quota() -> Option<Quota> {
    Quota::new(99, Duration::from_secs(1)).ok().map(|quota| quota.with_burst(50))
}

fn state(job: cfw_api::Job) -> JobState {
    let phase = match &job.status {
        JobStatus::Running => Phase::Running,
        JobStatus::Success => Phase::Succeeded,
        JobStatus::Failed => Phase::Failed,
        // A status added by a later version of the client is as unknown here as one added by the service.
        _ => Phase::Unknown,
    };
    let status: Cow<'static, str> = match job.status {
        JobStatus::Running => "Running".into(),
        JobStatus::Success => "Success".into(),
        JobStatus::Failed => "Failed".into(),
        other => other.as_str().to_owned().into(),
    };
    let state = JobState { phase, ..JobState::running().with_status(status) };
    let state = state.with_begin(job.begin_time).with_end(job.end_time).with_answered(job.answered);
    match (job.error_code, job.error_msg) {
        (Some(code), Some(msg)) => state.with_detail(format!("{code}: {msg}")),
        (Some(only), None) | (None, Some(only)) => state.with_detail(only),
        (None, None) => state,
    }
}

fn source_error(error: Error) -> SourceError {
    let class = match error.class() {
        Class::Transient { retry_after } => ErrorClass::Transient { retry_after },
        Class::Unreached => ErrorClass::Unreached,
        Class::Unexpected { can_pass } => ErrorClass::Unexpected { can_pass },
        Class::Throttled { retry_after, quota } => ErrorClass::Throttled {
            retry_after,
            quota: quota.and_then(|quota| Quota::new(quota.calls.get(), quota.per).ok()),
        },
        Class::NotFound => ErrorClass::NotFound,
        Class::Unauthorized => ErrorClass::Refused,
        _ => ErrorClass::Fatal,
    };
    let (code, message) = (error.code().map(str::to_owned), error.message().map(str::to_owned));
    // Where a proxy answered in place of the service, the HTTP status is what tells most.
    let message = match (&code, error.status(), message) {
        // Where nothing of the service came, what the request came to.
        (None, _, None) if class == ErrorClass::Unreached => error.summary().map(str::to_owned),
        (None, Some(status), Some(message)) => {
            let message = page_words(&message, &status.to_string()).unwrap_or(message);
            Some(format!("HTTP {status}: {message}"))
        }
        (None, Some(status), None) => Some(format!("HTTP {status}")),
        (_, _, message) => message,
    };
    let request_id = error.request_id().map(str::to_owned);
    let mut error = SourceError::new(class, error);
    if code.is_some() || message.is_some() {
        error = error.with_code(code.unwrap_or_default(), message.unwrap_or_default());
    }
    match request_id {
        Some(id) => error.with_request_id(id),
        None => error,
    }
}

/// Returns the words of an HTML page, such as those that proxies answer with: its title, or else its text.
///
/// Pages repeat the HTTP status, which is left out. The page may be cut anywhere.
fn page_words(page: &str, status: &str) -> Option<String> {
    // ASCII lower case, so that offsets are the same in both.
    let lower = page.to_ascii_lowercase();
    if !["<html", "<!doctype html"].iter().any(|start| lower.starts_with(start)) {
        return None;
    }
    let title = lower.find("<title").and_then(|at| page.get(at..)?.split_once('>'));
    let title = title.map_or("", |(_, rest)| rest.split('<').next().unwrap_or(""));
    let mut words = title.split_whitespace().collect::<Vec<_>>();
    if words.is_empty() {
        // What stands before a tag is text; what stands in an unfinished tag is not.
        let texts = page.split('<').filter_map(|part| Some(part.split_once('>')?.1));
        words = texts.flat_map(str::split_whitespace).collect();
    }
    if words.first() == Some(&status) {
        words.remove(0);
    }
    words.push(if words.is_empty() { "an HTML page" } else { "(HTML page)" });
    Some(words.join(" "))
}

impl From<&cfw_api::JobId> for JobId {
    fn from(id: &cfw_api::JobId) -> Self {
        id.as_str().into()
    }
}

impl From<cfw_api::JobId> for JobId {
    fn from(id: cfw_api::JobId) -> Self {
        id.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_proxies_are_reduced_to_their_words() {
        let rows = [
            (
                "<html>  <head><title>502 Bad Gateway</title></head>  <body>  <h1>502 Bad Gateway</h1>",
                Some("Bad Gateway (HTML page)"),
            ),
            ("<!DOCTYPE html><HTML><TITLE lang=en>Sign\n in</TITLE>", Some("Sign in (HTML page)")),
            (
                "<html><title></title><h1>502</h1><p>No é <b>upstream</b",
                Some("No é upstream (HTML page)"),
            ),
            ("<html><title>5", Some("5 (HTML page)")),
            ("<html><title", Some("an HTML page")),
            ("<html><title>502</title>", Some("an HTML page")),
            ("<html", Some("an HTML page")),
            ("upstream said <html>", None),
            ("<Error><Code>Busy</Code></Error>", None),
        ];
        for (page, expected) in rows {
            assert_eq!(page_words(page, "502").as_deref(), expected, "{page}");
        }
    }
}
