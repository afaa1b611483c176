//! The simulator from outside, over real sockets, by a client that writes HTTP by hand.

#[cfg(test)]
mod command;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod firewalls;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod record;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
