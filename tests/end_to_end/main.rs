//! The client as the source of a waiter, against the simulator, over real HTTP on loopback.

#[cfg(test)]
mod crowd;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod interop;
#[cfg(test)]
mod learned;
#[cfg(test)]
mod observability;
#[cfg(test)]
mod patience;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod support;
