//! Tests of the simulator over real sockets, with a hand-written HTTP client.

#[cfg(test)]
mod fault_plan;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod firewalls;
#[cfg(test)]
mod imports;
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
