//! Settings and fixed names.

use std::time::Duration;

use crate::model::account::{AccessKey, User};
use crate::util::random::hex_id;

/// The region of the simulated cloud.
pub(crate) const REGION: &str = "eu-de";
pub(crate) const PROJECT_NAME: &str = "eu-de_simulated";

/// The format of `begin_time` and `end_time`. The manual's text and its example differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// Integers, milliseconds since 1970. Null while the job runs.
    #[default]
    Millis,
    /// Text such as `2023-10-26T10:30:00+0800`. Empty while the job runs.
    Text,
}

/// The settings that do not change after the start.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) seed: u64,
    pub(crate) port: u16,
    pub(crate) times: TimeFormat,
    pub(crate) latency: Duration,
    pub(crate) record: bool,
    pub(crate) project_id: String,
    pub(crate) token: String,
    pub(crate) user: User,
    pub(crate) login_attempts: u32,
    pub(crate) token_lifetime: Duration,
    pub(crate) access_key: AccessKey,
    pub(crate) firewall_create: Duration,
    pub(crate) firewall_delete: Duration,
    pub(crate) delete_jobs_exist: bool,
}

impl Config {
    /// Sets the seed, and the project id that is drawn from it.
    pub(crate) fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
        self.project_id = project_id(seed);
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            port: 0,
            times: TimeFormat::default(),
            latency: Duration::ZERO,
            record: true,
            project_id: project_id(0),
            token: "simulated-token".to_owned(),
            user: User::new("simulated-user", "simulated-password"),
            login_attempts: 5,
            token_lifetime: Duration::from_secs(24 * 3600),
            access_key: AccessKey::new("SIMULATEDACCESSKEY00", "simulated-secret-key"),
            firewall_create: Duration::from_millis(300),
            firewall_delete: Duration::from_millis(200),
            delete_jobs_exist: true,
        }
    }
}

fn project_id(seed: u64) -> String {
    const PROJECT: u64 = 3;
    hex_id(seed, PROJECT, 0)
}
