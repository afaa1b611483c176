//! The services behind the gateway, one file each. May import all of `http` but `gateway`,
//! `routes` and `server`.

pub(crate) mod firewalls;
pub(crate) mod iam;
pub(crate) mod jobs;
