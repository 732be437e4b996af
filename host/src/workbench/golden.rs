//! `host plugin test`: golden cases.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::run::once;
use super::{Desk, Ended, read, transform};
use crate::case::{Line, Outcome, Sample, difference, lines};
use crate::config::Tests;
use crate::message::{ARRIVAL, Batch};
use crate::plugin::{Loader, Plugins};
use crate::setup;
use crate::transform::Transform;

pub fn run(desk: &mut Desk<'_>, tests: &Tests) -> Result<(), Ended> {
    // With a clock that stands: a case is to have the same outcome tomorrow.
    let mut loader = Loader::new(setup::limits(&desk.limits)).counting();
    let plugins = desk.load_by(&mut loader, setup::standing)?;
    let cases = cases(&tests.cases)?;
    let mut used = transform(&plugins);
    let mut sum = Sum::default();
    let mut written = Vec::new();
    for Line { place, text, sample } in cases {
        let Some(sample) = sample else {
            written.push(text);
            continue;
        };
        let tried = Tried::of(tests, &plugins, &mut used, &sample).map_err(Ended::Unusable)?;
        let expected = sample.expect.as_ref();
        let differs = match expected {
            Some(expected) => difference(expected, &tried.outcome),
            None => Some(
                "there is no \"expect\": write one, or let --update write what comes of it"
                    .to_owned(),
            ),
        };
        let updated = tests.update && differs.is_some();
        written.push(if updated {
            let mut sample = sample;
            sample.expect = Some(tried.outcome.expectation());
            serde_json::to_string(&sample)
                .map_err(|error| Ended::Unusable(format!("{place}: {error}")))?
        } else {
            text
        });
        let problems: Vec<_> =
            differs.filter(|_| !updated).into_iter().chain(tried.problems).collect();
        sum.add(&problems, updated, tried.instructions);
        if desk.json {
            desk.json(&json!({
                "place": place,
                "passed": problems.is_empty(),
                "updated": updated,
                "problems": problems,
                "outcome": tried.outcome.json(),
                "instructions": tried.instructions,
            }))?;
        } else {
            for problem in &problems {
                writeln!(desk.out, "{place}: {problem}")?;
            }
        }
    }
    if sum.passed + sum.failed == 0 {
        return Err(Ended::Unusable(format!(
            "{} has no cases; write some, e.g. {{\"topic\": \"a/b\", \"payload\": \"x\", \"expect\": {{\"key\": \"b\"}}}}",
            tests.cases.display()
        )));
    }
    if sum.updated > 0 {
        replace(&tests.cases, &(written.join("\n") + "\n"))?;
    }
    if !desk.json {
        sum.show(desk)?;
    }
    if sum.failed > 0 { Err(Ended::Failed) } else { Ok(()) }
}

/// Reads all cases before the first is tried.
fn cases(file: &Path) -> Result<Vec<Line>, Ended> {
    let text = read(file)?;
    lines(&file.display().to_string(), &*text).collect::<Result<_, _>>().map_err(Ended::Unusable)
}

/// Puts a new file in the place of an old one, which is there, whole, until then.
fn replace(file: &Path, text: &str) -> Result<(), Ended> {
    let beside = file.with_extension("new");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, file))
        .map_err(|error| Ended::Unusable(format!("{} cannot be written: {error}", file.display())))
}

/// What has become of a case's message.
struct Tried {
    outcome: Outcome,
    /// What is wrong, whatever was expected.
    problems: Vec<String>,
    instructions: Option<u64>,
}

impl Tried {
    fn of(
        tests: &Tests,
        plugins: &Plugins,
        used: &mut Transform,
        sample: &Sample,
    ) -> Result<Self, String> {
        let mut batch = Batch::new();
        sample.push(&mut batch, 0, ARRIVAL)?;
        used.plugins().start();
        used.plugins().take_instructions();
        let outcome = once(used, &batch).outcome;
        let instructions = used.plugins().take_instructions();
        let mut problems = Vec::new();
        if let (Some(limit), Some(took)) = (tests.instructions_limit, instructions)
            && took > limit
        {
            problems.push(format!("it took {took} instructions, {limit} are allowed"));
        }
        if !tests.stateful {
            let fresh = once(&mut transform(plugins), &batch).outcome;
            if fresh.expectation() != outcome.expectation() {
                problems.push(format!(
                    "a fresh instance answers {}, one that has seen the cases before answers {}; if \
                     that is meant, say --stateful",
                    fresh.json(),
                    outcome.json()
                ));
            }
        }
        Ok(Self { outcome, problems, instructions })
    }
}

/// What has become of all cases.
#[derive(Default)]
struct Sum {
    passed: usize,
    failed: usize,
    /// Of those that passed, the ones that pass from now on.
    updated: usize,
    /// Most instructions for one message.
    instructions: Option<u64>,
}

impl Sum {
    fn add(&mut self, problems: &[String], updated: bool, instructions: Option<u64>) {
        if problems.is_empty() {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        self.updated += usize::from(updated);
        self.instructions = self.instructions.max(instructions);
    }

    fn show(&self, desk: &mut Desk<'_>) -> Result<(), Ended> {
        let Self { passed, failed, updated, instructions } = self;
        let updated = if *updated == 0 { String::new() } else { format!(" ({updated} updated)") };
        let instructions = instructions
            .map_or(String::new(), |most| format!("; at most {most} instructions a message"));
        Ok(writeln!(desk.out, "{passed} passed{updated}, {failed} failed{instructions}")?)
    }
}
