//! The fault campaign over real sockets: what RELIABILITY.md lists beside the tests of `end_to_end`. A binary of its own, since
//! floods of bytes would delay those.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod over_tls;
#[cfg(test)]
mod restarts;
#[cfg(test)]
#[expect(dead_code, reason = "shared with `end_to_end`, which uses all of it")]
#[path = "../end_to_end/support.rs"]
mod support;
