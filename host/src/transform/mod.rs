//! What becomes of a message: its key, value, timestamp and headers.
//!
//! Everything here runs once per message, so it allocates only where an answer is not already
//! somewhere in the message.

pub mod builtin;
pub mod headers;
mod json;
mod time;
