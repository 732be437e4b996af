//! `host plugin check`: what plugins are, and what may become a trouble.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::run::{Tried, failed, once};
use super::{Desk, Ended, messages, read, shown, transform};
use crate::case::Outcome;
use crate::message::{Batch, now_ms};
use crate::plugin::{Calls, Clock, Description, Inspection, Loader, Plugins};
use crate::setup;

pub fn run(desk: &mut Desk<'_>) -> Result<(), Ended> {
    // Without a cache, so that the time of compiling is that.
    let mut loader = Loader::with_cache(setup::limits(&desk.limits), None);
    let mut unusable = Vec::new();
    let mut failures = 0;
    for plugin in desk.plugins.clone() {
        let inspection = match read(&plugin.file) {
            Ok(bytes) => Inspection::of(&bytes),
            // The loader says the same in the words of the bridge.
            Err(_) => Inspection::default(),
        };
        match loader.load(&[setup::spec(&plugin)]) {
            Ok(plugins) => {
                let findings = Findings::of(desk, &plugins, inspection)?;
                failures += usize::from(failed(&findings.sample.outcome));
                for description in plugins.describe() {
                    if desk.json {
                        desk.json(&findings.json(&description))?;
                    } else {
                        findings.show(desk, &description)?;
                    }
                }
            }
            Err(error) => {
                if desk.json {
                    let file = plugin.file.display().to_string();
                    desk.json(&json!({ "file": file, "error": error.to_string() }))?;
                }
                unusable.push(error.to_string());
            }
        }
    }
    if !unusable.is_empty() {
        return Err(Ended::Unusable(unusable.join("\n")));
    }
    if failures > 0 { Err(Ended::Failed) } else { Ok(()) }
}

/// What was found out about a plugin beside its description.
struct Findings {
    inspection: Inspection,
    /// How long an instance takes to start.
    start: Duration,
    /// Bytes that it has then.
    memory: usize,
    sample: Tried,
    /// What would become of the sample without the plugin.
    before: Outcome,
    warnings: Vec<String>,
}

impl Findings {
    fn of(desk: &Desk<'_>, plugins: &Plugins, inspection: Inspection) -> Result<Self, Ended> {
        let began = Instant::now();
        let mut transform = transform(plugins);
        let start = began.elapsed();
        let memory = transform.plugins().memory().map(|(_, bytes)| bytes).sum();
        let mut batch = Batch::new();
        messages::sample().push(&mut batch, 0, now_ms()).map_err(Ended::Unusable)?;
        let sample = once(&mut transform, &batch);
        let before = once(&mut super::transform(&Plugins::default()), &batch).outcome;
        let warnings = Vec::new();
        let mut findings = Self { inspection, start, memory, sample, before, warnings };
        findings.warn(desk);
        Ok(findings)
    }

    fn warn(&mut self, desk: &Desk<'_>) {
        let Self { inspection, memory, sample, warnings, .. } = self;
        if !inspection.names {
            warnings.push(
                "its functions have no names, so a trap does not say where it was; keep them \
                 (strip = \"debuginfo\" in Cargo.toml)"
                    .to_owned(),
            );
        }
        if inspection.debug > 64 << 10 {
            let debug = shown::size(inspection.debug);
            warnings.push(format!(
                "it has {debug} of debugging information, which nothing reads; strip it"
            ));
        }
        if *memory > desk.limits.memory / 2 {
            let (memory, limit) = (shown::size(*memory), shown::size(desk.limits.memory));
            warnings.push(format!(
                "it takes {memory} at its start, of {limit} that it may have; raise --plugin-memory-limit"
            ));
        }
        if sample.time > desk.limits.time / 2 {
            let (took, limit) = (shown::time(sample.time), shown::time(desk.limits.time));
            warnings.push(format!(
                "the sample message took {took}, of {limit} that a call may take; raise --plugin-time-limit"
            ));
        }
        if let Outcome::Reject(rejection) = &sample.outcome
            && !failed(&sample.outcome)
        {
            warnings.push(format!(
                "it does not take the sample message ({}); see what it does with yours: host plugin run",
                rejection.error
            ));
        }
    }

    fn show(&self, desk: &mut Desk<'_>, description: &Description) -> io::Result<()> {
        let Inspection { component, imports, code, data, .. } = &self.inspection;
        let out = &mut *desk.out;
        writeln!(out, "{}", description.file.display())?;
        let mut provides: Vec<_> = description
            .abilities
            .iter()
            .map(|(ability, calls)| format!("{ability} ({calls})"))
            .chain(description.hooks.iter().map(ToString::to_string))
            .collect();
        if description.configurable {
            provides.push("takes a configuration".to_owned());
        }
        let mut line = |name: &str, text: &str| writeln!(out, "  {name:<10} {text}");
        line("provides", &provides.join(", "))?;
        let imports = if imports.is_empty() { "nothing".to_owned() } else { imports.join(", ") };
        line("imports", &imports)?;
        match description.clock {
            None => {}
            Some(Clock::Denied) => {
                line("clock", "imported; asking is a failure without --plugin-clock")?;
            }
            Some(Clock::Real | Clock::Arrival) => line("clock", "imported, and allowed")?,
        }
        let (size, code, data) =
            (shown::size(description.size), shown::size(*code), shown::size(*data));
        let kind = if *component { "component" } else { "module" };
        line("size", &format!("{size} ({kind}; code {code}, data {data})"))?;
        line("sha256", &description.name.sha256)?;
        let compile = shown::time(description.compile);
        let (start, memory) = (shown::time(self.start), shown::size(self.memory));
        line("start", &format!("compiled in {compile}, an instance in {start} with {memory}"))?;
        line("sample", &format!("answered in {}:", shown::time(self.sample.time)))?;
        shown::log(out, &self.sample.log)?;
        shown::outcome(out, &self.sample.outcome, &self.before)?;
        for warning in &self.warnings {
            writeln!(out, "  warning    {warning}")?;
        }
        Ok(())
    }

    fn json(&self, description: &Description) -> Value {
        let abilities = description.abilities.iter().map(|(ability, calls)| {
            json!({ "ability": ability.to_string(), "packed": *calls == Calls::Packed })
        });
        let Inspection { component, imports, code, data, debug, names } = &self.inspection;
        let hooks: Vec<_> = description.hooks.iter().map(ToString::to_string).collect();
        json!({
            "file": description.file.display().to_string(),
            "sha256": description.name.sha256,
            "size_bytes": description.size,
            "abilities": abilities.collect::<Vec<_>>(),
            "hooks": hooks,
            "takes_config": description.configurable,
            "component": component,
            "imports": imports,
            "imports_clock": description.clock.is_some(),
            "code_bytes": code,
            "data_bytes": data,
            "debug_bytes": debug,
            "names": names,
            "compile_us": micros(description.compile),
            "start_us": micros(self.start),
            "memory_bytes": self.memory,
            "sample": {
                "outcome": self.sample.outcome.json(),
                "time_us": micros(self.sample.time),
                "log": self.sample.log,
            },
            "warnings": self.warnings,
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
