//! Firewalls and the answers about them.

use std::fmt;

use crate::{FirewallId, JobId};

mod create;

pub use self::create::{CreateFirewall, CreateFirewallBuilder, Edition, PrePaid};

/// The result of a create.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// The job that creates a pay-per-use firewall. Its id is the firewall's, too: see [`FirewallId`].
    pub job_id: Option<JobId>,
    /// The order of a prepaid firewall, whose progress is in the billing service and not in a job.
    pub order_id: Option<String>,
    /// The request id, which the service's support asks for.
    pub request_id: Option<String>,
}

/// An existing firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Firewall {
    /// The requested id.
    pub id: FirewallId,
    /// Its name, if the answer has it.
    pub name: Option<String>,
    /// Its state.
    pub status: FirewallStatus,
}

/// The state of a firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FirewallStatus {
    /// Ordered and not paid for yet.
    WaitingForPayment,
    /// Being created.
    Creating,
    /// Being deleted.
    Deleting,
    /// In service.
    Running,
    /// Being upgraded.
    Upgrading,
    /// Deleted. The record remains for a while.
    Deleted,
    /// Frozen, for example because a payment is due.
    Frozen,
    /// The creation has failed.
    CreationFailed,
    /// The deletion has failed.
    DeletionFailed,
    /// The freezing has failed.
    FreezeFailed,
    /// Being stored.
    Storing,
    /// The storing has failed.
    StoreFailed,
    /// The upgrade has failed.
    UpgradeFailed,
    /// A number that this version does not know.
    Other(i64),
}

impl From<i64> for FirewallStatus {
    fn from(number: i64) -> Self {
        match number {
            -1 => Self::WaitingForPayment,
            0 => Self::Creating,
            1 => Self::Deleting,
            2 => Self::Running,
            3 => Self::Upgrading,
            4 => Self::Deleted,
            5 => Self::Frozen,
            6 => Self::CreationFailed,
            7 => Self::DeletionFailed,
            8 => Self::FreezeFailed,
            9 => Self::Storing,
            10 => Self::StoreFailed,
            11 => Self::UpgradeFailed,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for FirewallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WaitingForPayment => "waiting for payment",
            Self::Creating => "creating",
            Self::Deleting => "deleting",
            Self::Running => "running",
            Self::Upgrading => "upgrading",
            Self::Deleted => "deleted",
            Self::Frozen => "frozen",
            Self::CreationFailed => "creation failed",
            Self::DeletionFailed => "deletion failed",
            Self::FreezeFailed => "freeze failed",
            Self::Storing => "storing",
            Self::StoreFailed => "store failed",
            Self::UpgradeFailed => "upgrade failed",
            Self::Other(number) => return write!(f, "status {number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_the_manual_is_known() {
        let texts: Vec<String> =
            (-1..=12).map(|number| FirewallStatus::from(number).to_string()).collect();
        assert_eq!(
            texts.join(", "),
            "waiting for payment, creating, deleting, running, upgrading, deleted, frozen, creation failed, deletion \
             failed, freeze failed, storing, store failed, upgrade failed, status 12"
        );
    }
}
