//! The judge: what was published and confirmed, against what Kafka holds. It knows nothing of what
//! `host` says about itself, but for the last line that it writes, which it compares.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use super::message::{Fate, Id, Kind, Message, identify};
use super::traffic::Sent;
use crate::host::Ledger;
use crate::kafka::Record;

/// Examples of each violation that are named.
const EXAMPLES: usize = 5;

/// All that is known at the end of a round.
#[derive(Debug, Default)]
pub struct Evidence {
    pub sent: Vec<Sent>,
    /// Messages that `host` has acknowledged, by the bytes that it sent.
    pub acknowledged: HashSet<Id>,
    /// The topic's records, each partition in order, from the first topic of that name to the last.
    pub records: Vec<Record>,
    /// Those of its dead-letter topic.
    pub dead_letters: Vec<Record>,
    /// Messages that the MQTT server still has for `host`.
    pub left_behind: usize,
    /// The MQTT server was killed or restored, so that it may have lost what it confirmed.
    pub server_forgets: bool,
    /// Where messages of a kind have to end; [`Kind::Plain`] ones always become records.
    pub special: Option<(Kind, Fate)>,
}

/// How many messages or records were not as they have to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Confirmed to the publisher.
    pub messages: usize,
    /// Confirmed to the publisher, not lost by the MQTT server, and nowhere.
    pub lost: usize,
    /// Acknowledged by `host`, and nowhere.
    pub early: usize,
    /// Records of no message.
    pub invented: usize,
    /// Records whose key, value or headers are not those of their message.
    pub corrupted: usize,
    /// Records with another timestamp than their message says.
    pub restamped: usize,
    /// Records that should have been dead letters, and the other way round.
    pub misplaced: usize,
    /// Records beyond the first of their message.
    pub doubled: usize,
    /// Some of their messages.
    pub doubles: Vec<Id>,
    /// First records of messages that come after one of a later message of the same MQTT topic.
    pub out_of_order: usize,
    /// Some of them, and the later message that came before.
    pub overtaken: Vec<(Id, Id)>,
    /// Messages that wait in the MQTT server.
    pub left_behind: usize,
    /// Records and dead letters in all.
    pub records: (usize, usize),
    /// What some of the violations are.
    pub examples: Vec<String>,
}

impl Findings {
    /// Counts a violation and keeps it as an example if there are few.
    fn note(
        examples: &mut Vec<String>,
        count: &mut usize,
        name: &str,
        what: impl FnOnce() -> String,
    ) {
        *count += 1;
        if *count <= EXAMPLES {
            examples.push(format!("{name}: {}", what()));
        }
    }
}

/// Looks at everything.
pub fn check(evidence: &Evidence) -> Findings {
    let sent: HashMap<Id, &Sent> =
        evidence.sent.iter().map(|sent| (sent.message.id, sent)).collect();
    let mut findings = Findings {
        messages: evidence.sent.iter().filter(|sent| sent.confirmed).count(),
        left_behind: evidence.left_behind,
        records: (evidence.records.len(), evidence.dead_letters.len()),
        ..Findings::default()
    };
    let mut found = HashSet::new();
    for (place, records) in
        [(Fate::Record, &evidence.records), (Fate::DeadLetter, &evidence.dead_letters)]
    {
        let mut last = HashMap::new();
        for record in records {
            let message = record.value.as_deref().and_then(identify);
            let Some(Sent { message, .. }) = message.and_then(|id| sent.get(&id)) else {
                Findings::note(&mut findings.examples, &mut findings.invented, "invented", || {
                    format!("{record:?}")
                });
                continue;
            };
            compare(&mut findings, message, record, place);
            judge_place(&mut findings, evidence, message, place);
            if found.insert(message.id) {
                let (topic, n) = message.id;
                let last = last.entry((record.partition, topic)).or_insert(n);
                if n < *last {
                    let count = &mut findings.out_of_order;
                    Findings::note(&mut findings.examples, count, "out of order", || {
                        format!("{} of {} after {last}", n, message.topic())
                    });
                    if findings.overtaken.len() < EXAMPLES {
                        findings.overtaken.push(((topic, n), (topic, *last)));
                    }
                }
                *last = n.max(*last);
            } else {
                findings.doubled += 1;
                if findings.doubles.len() < EXAMPLES {
                    findings.doubles.push(message.id);
                }
            }
        }
    }
    look_for(&mut findings, evidence, &found);
    findings
}

/// Whether a record is that of its message, as a whole.
fn compare(findings: &mut Findings, message: &Message, record: &Record, place: Fate) {
    // A dead letter is the original payload under the original topic, at the time when it arrived.
    let is_record = place == Fate::Record;
    let key = if is_record { message.key() } else { Some(message.topic().into_bytes()) };
    let headers = message.headers();
    let headers_are_right = if is_record {
        record.headers == headers
    } else {
        headers.iter().all(|header| record.headers.contains(header))
            && record.header("reject.reason").is_some()
            && record.header("reject.arrived-at") == Some(&record.timestamp.to_string())
    };
    let value_is_right = record.value.as_deref() == Some(&message.payload());
    if !value_is_right || record.key != key || !headers_are_right {
        Findings::note(&mut findings.examples, &mut findings.corrupted, "corrupted", || {
            format!("{record:?} of {message:?}")
        });
    }
    if is_record && record.timestamp != message.timestamp {
        Findings::note(&mut findings.examples, &mut findings.restamped, "restamped", || {
            format!("{:?} has {} instead of {}", message.id, record.timestamp, message.timestamp)
        });
    }
}

/// Whether a message ended where it has to.
fn judge_place(findings: &mut Findings, evidence: &Evidence, message: &Message, place: Fate) {
    let fate = match evidence.special {
        Some((kind, fate)) if kind == message.kind => fate,
        _ => Fate::Record,
    };
    if fate != Fate::Either && fate != place {
        Findings::note(&mut findings.examples, &mut findings.misplaced, "misplaced", || {
            format!("{:?} is a {place:?}", message.id)
        });
    }
}

/// Looks for messages that are nowhere.
fn look_for(findings: &mut Findings, evidence: &Evidence, found: &HashSet<Id>) {
    for Sent { message, confirmed } in &evidence.sent {
        if found.contains(&message.id) {
            continue;
        }
        let acknowledged = evidence.acknowledged.contains(&message.id);
        if acknowledged {
            Findings::note(&mut findings.examples, &mut findings.early, "early", || {
                format!("{:?} was acknowledged and is nowhere", message.id)
            });
        }
        if *confirmed && (acknowledged || !evidence.server_forgets) {
            findings.lost += 1;
            if !acknowledged && findings.lost <= EXAMPLES {
                let example = format!("lost: {:?} was confirmed and is nowhere", message.id);
                findings.examples.push(example);
            }
        }
    }
}

/// What is wrong with the last line of a `host`, if anything. `whole` says that it was the only one
/// of its round, so that it must have received all that there is.
pub fn disagreement(ledger: &Ledger, findings: &Findings, whole: bool) -> Option<String> {
    let (delivered, dead) = (ledger.delivered as usize, ledger.dead_lettered as usize);
    let (records, letters) = findings.records;
    // A producer that had to be renewed writes some records again, and counts them once.
    let repeated = records + letters - findings.doubled;
    let wrong = if !ledger.is_balanced() {
        "does not add up"
    } else if delivered > records || dead > letters {
        "counts more than there is"
    } else if whole && delivered + dead < repeated {
        "counts less than there is"
    } else {
        return None;
    };
    let there = format!("{records} records and {letters} dead letters");
    Some(format!("the line at exit {wrong}: {ledger:?}, {there}"))
}
