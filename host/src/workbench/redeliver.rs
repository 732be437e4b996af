//! `host plugin replay --redeliver`: carries dead letters again, as if they had just come.
//!
//! They take the whole path, so that what goes for messages goes for them: nothing is given up before
//! Kafka has it, Kafka may be away meanwhile, and whatever is rejected again is a dead letter again.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::json;

use super::Ended;
use super::replay::Options;
use crate::bridge::{self, LettersSettings, OnError, Seen, Settings, Stops};
use crate::config::Replayed;
use crate::ledger::Ledger;
use crate::setup::Prepared;
use crate::sink::{From, Reader};

/// How long to wait for a record before looking whether all have come.
pub const GLANCE: Duration = Duration::from_millis(100);

/// The dead-letter topics of all routes, each once.
///
/// # Errors
/// If there is none.
pub fn topics(settings: &Settings) -> Result<Vec<String>, Ended> {
    let policies = settings.routes.iter().map(|route| &route.on_error);
    let topics: BTreeSet<&String> =
        policies.chain([&settings.unrouted]).filter_map(OnError::topic).collect();
    if topics.is_empty() {
        let why = "there is no dead-letter topic (--on-error dead-letter)";
        return Err(Ended::Away(why.to_owned()));
    }
    Ok(topics.into_iter().cloned().collect())
}

/// Where to begin with dead letters.
pub fn beginning(what: &Replayed) -> From {
    match what {
        Replayed::AllLetters => From::Beginning,
        Replayed::NewLetters | Replayed::Messages(_) => From::Committed,
    }
}

/// Carries the dead letters of all routes until it is told to stop or there are no more; says in the end
/// what became of them.
///
/// # Errors
/// What cannot be read or carried; or [`Ended::Failed`] if some were rejected again.
pub async fn run(
    prepared: Prepared,
    options: Options,
    stops: Stops,
    out: &mut dyn Write,
) -> Result<(), Ended> {
    let Prepared { mut settings, transform, .. } = prepared;
    let Options { json, count, what, .. } = options;
    let topics = topics(&settings)?;
    let seen = Arc::<Seen>::default();
    let readers = open(&settings, &topics, beginning(&what), stops.clone()).await?;
    settings.letters = topics
        .iter()
        .zip(readers)
        .map(|(topic, reader)| LettersSettings {
            topic: topic.clone(),
            reader,
            count: count.unwrap_or(u64::MAX),
            seen: Arc::clone(&seen),
        })
        .collect();
    settings.sources.clear();
    settings.hook = None;
    // What is rejected again stays a dead letter, whatever is done with messages that come by MQTT.
    let routes = settings.routes.iter_mut().map(|route| &mut route.on_error);
    for policy in routes.chain([&mut settings.unrouted]) {
        if policy.topic().is_none() {
            *policy = OnError::DeadLetter { topic: topics[0].clone() };
        }
    }
    let ledger = Arc::<Ledger>::default();
    let carried = bridge::run(settings, transform, Arc::clone(&ledger), stops).await;
    let counts = ledger.counts();
    let (cut, foreign) = (seen.cut.load(Relaxed), seen.foreign.load(Relaxed));
    let (delivered, skipped, rejected) = (counts.delivered, counts.skipped, counts.dead_lettered);
    let letters = delivered + skipped + rejected + cut;
    if json {
        let sum = json!({
            "dead_letters": letters, "delivered": delivered, "skipped": skipped,
            "rejected": rejected, "cut": cut, "foreign": foreign,
        });
        writeln!(out, "{sum}")?;
    } else {
        write!(
            out,
            "{letters} dead letters: {delivered} are delivered now, {skipped} skipped by plugins, \
             {rejected} rejected again"
        )?;
        for (number, what) in [
            (cut, "have only the start of their payload"),
            (foreign, "records are no dead letters"),
        ] {
            if number > 0 {
                write!(out, "; {number} {what}, and stay where they are")?;
            }
        }
        writeln!(out)?;
    }
    carried.map_err(Ended::Away)?;
    counts.balance().map_err(|imbalance| Ended::Away(imbalance.to_string()))?;
    if rejected + cut == 0 { Ok(()) } else { Err(Ended::Failed) }
}

/// Waits for Kafka's answers about the topics; there is none if told to stop before they came.
async fn open(
    settings: &Settings,
    topics: &[String],
    from: From,
    mut stops: Stops,
) -> Result<Vec<Reader>, Ended> {
    let (sink, topics) = (settings.sink.clone(), topics.to_vec());
    let open = move || {
        topics.iter().map(|topic| Reader::open(&sink, topic, from)).collect::<Result<_, _>>()
    };
    tokio::select! {
        opened = tokio::task::spawn_blocking(open) => match opened {
            Ok(readers) => readers.map_err(Ended::Away),
            Err(error) => Err(Ended::Away(format!("cannot read dead letters: {error}"))),
        },
        _ = stops.wait_for(|stops| *stops > 0) => Ok(Vec::new()),
    }
}
