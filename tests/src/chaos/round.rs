//! One round of one fault, and what is to be said about it.

use std::fmt;
use std::time::Duration;

use super::checker::{Findings, check, disagreement};
use super::faults::Fault;
use super::scene::{Duplicates, Length, Scene};
use super::stage::{Finished, Stage};
use super::watch::Seen;
use crate::wire::Version;

/// The most that may be seen of `host`: it says something every half a minute while messages wait, does
/// next to nothing while nothing moves, and keeps nothing for ever.
const MOST: Seen = Seen {
    silence: Duration::from_secs(30),
    spin: 15,
    spinner: String::new(),
    resident_bytes: 256 << 20,
    descriptors: 64,
    threads: 32,
};

/// What a round has shown.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub fault: &'static str,
    pub seed: u64,
    pub qos: u8,
    pub version: Version,
    pub findings: Findings,
    pub seen: Seen,
    pub caught_up: Option<Duration>,
    /// How often the MQTT server gave out a packet id that was in use.
    pub ids_in_use: usize,
    /// How often it sent a message again after PUBREL.
    pub sent_after_release: usize,
    /// What must not be. Empty is good.
    pub violations: Vec<String>,
}

/// Starts everything, disturbs it, puts it in order, and looks at what has become of the messages.
pub fn run(fault: &Fault, seed: u64, length: Length) -> Outcome {
    let mut scene = Scene::new(seed, length);
    (fault.scene)(&mut scene);
    let mut stage = Stage::start(scene, seed);
    stage.load(300..600);
    (fault.disturb)(&mut stage);
    stage.load(300..600);
    judge(fault.name, seed, stage.finish())
}

fn judge(fault: &'static str, seed: u64, finished: Finished) -> Outcome {
    let mut findings = check(&finished.evidence);
    let Finished { scene, seen, caught_up, ended, starts, ids_in_use, tap, complaints, .. } =
        finished;
    let mut violations = complaints;
    let duplicates_are_allowed = match scene.duplicates {
        Duplicates::Never => false,
        Duplicates::AtQos1 => scene.qos == 1,
        Duplicates::Always => true,
    };
    // Of two messages with one packet id, mosquitto takes both acknowledgements for those of the first.
    let left_behind = if ids_in_use > 0 { 0 } else { findings.left_behind };
    let doubled = findings.doubled.saturating_sub(tap.sent_after_release());
    let doubled = if duplicates_are_allowed { 0 } else { doubled };
    if doubled > 0 {
        for message in &findings.doubles {
            let history = tap.history(*message);
            findings.examples.push(format!("doubled: {message:?}, sent on {history}"));
        }
    }
    for (late, early) in &findings.overtaken {
        let [one, other] = [late, early].map(|message| tap.history(*message));
        findings
            .examples
            .push(format!("{late:?} was sent on {one}\n    {early:?} was sent on {other}"));
    }
    for (count, name) in [
        (findings.lost, "lost"),
        (findings.early, "acknowledged and nowhere"),
        (findings.invented, "invented"),
        (findings.corrupted, "corrupted"),
        (findings.restamped, "restamped"),
        (findings.misplaced, "in the wrong topic"),
        (findings.out_of_order, "out of order"),
        (doubled, "doubled"),
        (left_behind, "left behind in the MQTT server"),
    ] {
        if count > 0 {
            violations.push(format!("{count} {name}"));
        }
    }
    violations.extend(excesses(&seen));
    for (number, ended) in (1..).zip(&ended) {
        // Only one that is stopped while Kafka is away may leave something in flight.
        let may_leave = number < starts && ended.code == Some(1);
        if ended.code != Some(0) && !may_leave {
            violations.push(format!("ended with {:?}", ended.code));
        }
        let wrong = match ended.try_ledger() {
            Some(ledger) => disagreement(&ledger, &findings, starts == 1),
            // A log that nobody reads cannot be read afterwards.
            None if scene.log_is_lost => None,
            None => Some("no line at exit".to_owned()),
        };
        violations.extend(wrong);
    }
    Outcome {
        fault,
        seed,
        qos: scene.qos,
        version: scene.version,
        findings,
        seen,
        caught_up,
        ids_in_use,
        sent_after_release: tap.sent_after_release(),
        violations,
    }
}

/// What is more than may be seen of `host`.
fn excesses(seen: &Seen) -> Vec<String> {
    let Seen { silence, spin, ref spinner, resident_bytes, descriptors, threads } = *seen;
    [
        (silence > MOST.silence, format!("silent for {:.1} s", silence.as_secs_f64())),
        (
            spin > MOST.spin,
            format!("uses {spin} % of a processor while nothing moves, most of it in {spinner}"),
        ),
        (resident_bytes > MOST.resident_bytes, format!("takes {} MiB", resident_bytes >> 20)),
        (descriptors > MOST.descriptors, format!("has {descriptors} files open")),
        (threads > MOST.threads, format!("has {threads} threads")),
    ]
    .into_iter()
    .filter_map(|(is_excess, what)| is_excess.then_some(what))
    .collect()
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Outcome {
    /// One line, and examples where something is wrong.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, seed, qos, findings, seen, .. } = self;
        let version = if self.version == Version::V5 { "5" } else { "3.1.1" };
        let verdict = if self.is_good() { "ok".to_owned() } else { self.violations.join(", ") };
        write!(
            formatter,
            "{fault} seed {seed}, QoS {qos}, MQTT {version}: {} messages, {} doubled, quiet for {:.1} s, ",
            findings.messages,
            findings.doubled,
            seen.silence.as_secs_f64()
        )?;
        if let Some(caught_up) = self.caught_up {
            write!(formatter, "caught up in {:.1} s, ", caught_up.as_secs_f64())?;
        }
        if self.ids_in_use > 0 {
            write!(formatter, "{} packet ids given out while in use, ", self.ids_in_use)?;
        }
        if self.sent_after_release > 0 {
            write!(formatter, "{} messages sent again after PUBREL, ", self.sent_after_release)?;
        }
        write!(formatter, "{verdict}")?;
        for example in &findings.examples {
            write!(formatter, "\n    {example}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_more_than_may_be_seen_is_a_violation() {
        assert_eq!(excesses(&MOST), Vec::<String>::new());
        for (seen, what) in [
            (Seen { silence: Duration::from_millis(30_100), ..MOST }, "silent for 30.1 s"),
            (
                Seen { spin: 16, spinner: "rdk:main".to_owned(), ..MOST },
                "uses 16 % of a processor while nothing moves, most of it in rdk:main",
            ),
            (Seen { resident_bytes: 257 << 20, ..MOST }, "takes 257 MiB"),
            (Seen { descriptors: 65, ..MOST }, "has 65 files open"),
            (Seen { threads: 33, ..MOST }, "has 33 threads"),
        ] {
            assert_eq!(excesses(&seen), [what]);
        }
    }
}
