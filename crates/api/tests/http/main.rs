//! The client against servers on loopback.

#[cfg(test)]
mod cloud;
#[cfg(test)]
mod common;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod firewalls;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod list_job;
#[cfg(test)]
mod network;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod server;
