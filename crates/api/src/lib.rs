//! Placeholder.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the client that uses it is merged by hand")
)]
mod settings;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the client that signs with it is merged by hand")
)]
mod sign;

pub use settings::{Settings, SettingsError};
