//! What becomes of a message: its key, value, timestamp and headers.
//!
//! Everything here runs once per message, so it allocates only where an answer is not already
//! somewhere in the message.

pub mod builtin;
pub mod headers;
mod json;
mod time;

use std::borrow::Cow;

use crate::message::{Batch, Record, Verdict};
use builtin::{Builtin, Wanted};

/// The setters of one lane.
pub struct Transform {
    builtin: Builtin,
    /// How many `_timestamp`s named no time since the last [`Self::take_unusable_timestamps`].
    unusable_timestamps: u64,
}

impl Transform {
    pub fn new(builtin: Builtin) -> Self {
        Self {
            builtin,
            unusable_timestamps: 0,
        }
    }

    /// Decides what becomes of each message of a batch, in order.
    pub fn each(&mut self, batch: &Batch, mut decided: impl FnMut(usize, Verdict<'_>)) {
        for (index, message) in batch.messages().enumerate() {
            let decision = self.builtin.decide(&message, Wanted::ALL);
            self.unusable_timestamps += u64::from(decision.timestamp_unusable);
            let record = Record {
                key: decision.key,
                value: Some(Cow::Borrowed(self.builtin.value(&message))),
                timestamp_ms: decision.timestamp_ms,
            };
            decided(index, Verdict::Record(record));
        }
    }

    /// For the ledger.
    pub fn take_unusable_timestamps(&mut self) -> u64 {
        std::mem::take(&mut self.unusable_timestamps)
    }
}
