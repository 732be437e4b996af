//! What became of a plugin's file that was looked at, for the log, for people and for programs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::short;

/// A file, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub file: String,
    #[serde(flatten)]
    pub outcome: SwapOutcome,
}

/// Versions are named by the SHA-256 of their files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum SwapOutcome {
    /// It is in the place of another one, after so many recent messages, of some of which it makes
    /// something else, and golden cases.
    TakesOver { from: String, to: String, messages: usize, changed: usize, cases: usize },
    /// It is what runs.
    Unchanged { version: String },
    /// It is no good, for this reason, and leaves the one that runs where it is.
    Stays { version: String, reason: String },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {}: ", self.file)?;
        match &self.outcome {
            SwapOutcome::TakesOver { from, to, messages, changed, cases } => {
                let (to, from) = (short(to), short(from));
                write!(f, "version {to} takes over from {from} ")?;
                write!(f, "(self-test: {messages} recent messages, {cases} golden cases)")?;
                if *changed > 0 {
                    write!(
                        f,
                        "; {changed} of {messages} recent messages would get another record"
                    )?;
                }
                Ok(())
            }
            SwapOutcome::Unchanged { version } => {
                write!(f, "the file has not changed (version {})", short(version))
            }
            SwapOutcome::Stays { version, reason } => {
                write!(f, "version {} stays: {reason}", short(version))
            }
        }
    }
}
