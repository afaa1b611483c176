//! The rules of waiting, on the board alone: virtual time, no runtime, no sleep.

mod attempts;
mod booking;
mod bound;
mod budgets;
mod commands;
mod deadlines;
mod differential;
mod eta;
mod growth;
mod interleaving;
mod learning;
mod many;
mod progress;
mod properties;
mod reach;
mod samples;
mod script;
mod sharing;
mod single;
mod starts;
mod throttle;
mod turns;
mod verdicts;
mod world;
mod worth;
