//! Messages and what becomes of them, as JSON a person can write: samples, golden cases, captures.
//!
//! ```json
//! {"topic": "plant/line-1/temp", "payload": {"celsius": 21.5}, "qos": 1, "expect": {"key": "line-1"}}
//! ```

mod expect;
mod letter;
mod lines;
mod outcome;
mod sample;

pub use expect::difference;
pub use letter::Letter;
pub use lines::{Line, lines};
pub use outcome::{Outcome, insert_bytes};
pub use sample::Sample;
