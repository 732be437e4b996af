//! What a plugin is, for whoever reads the log at the start.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::text::size;
use super::{Ability, Clock, Hook};
use crate::message::PluginName;

/// How an ability is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Once per message.
    Typed,
    /// Once per run of messages.
    Packed,
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Typed => "typed",
            Self::Packed => "packed",
        })
    }
}

/// What a plugin is, for the log at the start. Prints as one line.
#[derive(Debug)]
pub struct Description {
    pub file: PathBuf,
    pub name: Arc<PluginName>,
    pub abilities: Vec<(Ability, Calls)>,
    pub hooks: Vec<Hook>,
    /// Whether it takes a configuration.
    pub configurable: bool,
    /// What it gets that asks for the time, if it can ask.
    pub clock: Option<Clock>,
    /// Bytes of the file.
    pub size: usize,
    /// How long it took to compile, or to find it compiled in the cache.
    pub compile: Duration,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let abilities =
            self.abilities.iter().map(|(ability, calls)| format!("{ability} ({calls})"));
        let offers: Vec<_> = abilities.chain(self.hooks.iter().map(Hook::to_string)).collect();
        let time = match self.clock {
            None => "",
            Some(Clock::Denied) => "; may not ask for the time",
            Some(Clock::Real | Clock::Arrival) => "; may ask for the time",
        };
        write!(
            f,
            "{}: {}{time}; {}, sha256 {}, compiled in {} ms",
            self.file.display(),
            offers.join(", "),
            size(self.size),
            self.name.sha256,
            self.compile.as_millis(),
        )
    }
}
