//! `host plugin`: plugins looked at, tried, tested and measured on a desk, through the same loader and
//! the same setters as in the bridge, without any server; and messages recorded
//! for that.

mod bench;
pub mod capture;
mod check;
mod golden;
mod logs;
mod messages;
pub mod new;
pub mod redeliver;
pub mod replay;
mod run;
mod shown;
pub mod swap;
mod watch;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use crate::config::{Plugin, PluginLimits, Task, Workbench};
use crate::plugin::{Loader, OnBroken, Plugins, Spec};
use crate::setup;
use crate::transform::Transform;
use crate::transform::builtin::Builtin;

/// Why nothing came of it, or not what should.
#[derive(Debug)]
pub enum Ended {
    /// A plugin, or a file with messages, cannot be used; in one line with the cure.
    Unusable(String),
    /// A plugin failed. All has been said.
    Failed,
    /// Kafka or its topic cannot be used; in one line with the cure.
    Away(String),
    /// It cannot be said what was found.
    Output(io::Error),
}

impl Ended {
    /// The same, said as `words` says it.
    #[must_use]
    pub fn in_words(self, words: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Unusable(problem) => Self::Unusable(words(&problem)),
            Self::Away(problem) => Self::Away(words(&problem)),
            ended @ (Self::Failed | Self::Output(_)) => ended,
        }
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Does what was asked for, and writes what it finds.
///
/// # Errors
/// See [`Ended`].
pub fn run(workbench: Workbench, out: &mut dyn Write) -> Result<(), Ended> {
    let Workbench { task, plugins, limits, json, .. } = workbench;
    let mut desk = Desk { plugins, limits, json, out };
    match task {
        Task::Check => check::run(&mut desk),
        Task::Run(messages) => run::run(&mut desk, &messages),
        Task::Test(tests) => golden::run(&mut desk, &tests),
        Task::Watch(watch) => watch::run(&mut desk, &watch),
        Task::Bench { messages, count } => bench::run(&mut desk, &messages, count),
    }
}

/// What lies on the desk.
struct Desk<'a> {
    plugins: Vec<Plugin>,
    limits: PluginLimits,
    json: bool,
    out: &'a mut dyn Write,
}

impl Desk<'_> {
    /// All plugins together, as on one route of the bridge.
    fn load(&self) -> Result<Plugins, Ended> {
        self.load_by(&mut Loader::new(setup::limits(&self.limits)), setup::spec)
    }

    fn load_by(&self, loader: &mut Loader, spec: fn(&Plugin) -> Spec) -> Result<Plugins, Ended> {
        let specs: Vec<_> = self.plugins.iter().map(spec).collect();
        loader.load(&specs).map_err(|error| Ended::Unusable(error.to_string()))
    }

    fn json(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")
    }
}

/// Setters of which every plugin has a new instance.
fn transform(plugins: &Plugins) -> Transform {
    // Nothing waits here: that a plugin cannot work is to be seen.
    let plugins = plugins.clone().when_broken(OnBroken::Stop);
    let mut transform = Transform::new(Builtin::new(true), plugins.instantiate());
    transform.plugins().start();
    transform
}

fn read(file: &Path) -> Result<Vec<u8>, Ended> {
    fs::read(file).map_err(|error| {
        Ended::Unusable(format!("{} cannot be read: {error}; check the path", file.display()))
    })
}
