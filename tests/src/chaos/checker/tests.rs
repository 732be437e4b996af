//! Each violation is made on purpose, and must be the only one that is found.

use std::time::Duration;

use super::*;
use crate::wire::Version;

fn message(topic: u16, n: u32) -> Message {
    let message = Message::new((topic, n), Kind::Plain, Duration::from_hours(1));
    Message { version: Version::V5, ..message }
}

fn record(message: &Message, offset: i64) -> Record {
    Record {
        partition: i32::from(message.id.0),
        offset,
        key: message.key(),
        value: Some(message.payload()),
        timestamp: message.timestamp,
        headers: message.headers(),
    }
}

fn dead_letter(message: &Message, offset: i64) -> Record {
    let mut record = record(message, offset);
    record.key = Some(message.topic().into_bytes());
    record.timestamp = 1;
    record.headers.push(("reject.reason".to_owned(), b"kafka".to_vec()));
    record.headers.push(("reject.arrived-at".to_owned(), b"1".to_vec()));
    record
}

/// Ten messages on two topics, all as they should be; number 4 of topic 1 is a dead letter.
fn good() -> Evidence {
    let mut evidence =
        Evidence { special: Some((Kind::Ahead, Fate::DeadLetter)), ..Evidence::default() };
    for (topic, n) in [0, 1].into_iter().flat_map(|topic| (0..5).map(move |n| (topic, n))) {
        let mut message = message(topic, n);
        if message.id == (1, 4) {
            message.kind = Kind::Ahead;
            evidence.dead_letters.push(dead_letter(&message, 0));
        } else {
            evidence.records.push(record(&message, i64::from(n)));
        }
        evidence.acknowledged.insert(message.id);
        evidence.sent.push(Sent { message, confirmed: true });
    }
    evidence
}

/// What is found after `spoil`, besides what is found without.
fn found(spoil: impl FnOnce(&mut Evidence)) -> Findings {
    let mut evidence = good();
    spoil(&mut evidence);
    let findings = check(&evidence);
    // Which messages they are is another test.
    let (examples, doubles, overtaken) = Default::default();
    Findings { examples, doubles, overtaken, records: (9, 1), ..findings }
}

fn nothing() -> Findings {
    Findings { messages: 10, records: (9, 1), ..Findings::default() }
}

#[test]
fn nothing_is_found_where_all_is_well() {
    assert_eq!(check(&good()), nothing());
}

#[test]
fn a_message_that_is_nowhere_is_lost_and_early_if_it_was_acknowledged() {
    let lost = found(|it| drop(it.records.remove(3)));
    assert_eq!(lost, Findings { lost: 1, early: 1, ..nothing() });
    let never_sent = found(|it| {
        it.records.remove(3);
        it.acknowledged.remove(&(0, 3));
    });
    assert_eq!(never_sent, Findings { lost: 1, ..nothing() });
    let dead_letter = found(|it| it.dead_letters.clear());
    assert_eq!(dead_letter, Findings { lost: 1, early: 1, ..nothing() });
}

#[test]
fn what_a_forgetful_server_lost_is_not_lost_by_host_unless_it_was_acknowledged() {
    let by_server = found(|it| {
        it.server_forgets = true;
        it.records.remove(3);
        it.acknowledged.remove(&(0, 3));
    });
    assert_eq!(by_server, nothing());
    let by_host = found(|it| {
        it.server_forgets = true;
        it.records.remove(3);
    });
    assert_eq!(by_host, Findings { lost: 1, early: 1, ..nothing() });
}

#[test]
fn what_was_not_confirmed_may_be_there_or_not_but_not_be_acknowledged_and_nowhere() {
    let unconfirmed = |it: &mut Evidence| it.sent[3].confirmed = false;
    assert_eq!(found(unconfirmed), Findings { messages: 9, ..nothing() });
    let absent = found(|it| {
        unconfirmed(it);
        it.records.remove(3);
        it.acknowledged.remove(&(0, 3));
    });
    assert_eq!(absent, Findings { messages: 9, ..nothing() });
    let early = found(|it| {
        unconfirmed(it);
        it.records.remove(3);
    });
    assert_eq!(early, Findings { messages: 9, early: 1, ..nothing() });
}

#[test]
fn a_record_of_no_message_is_invented() {
    let unknown = found(|it| it.records.push(record(&message(0, 99), 9)));
    assert_eq!(unknown, Findings { invented: 1, ..nothing() });
    let rubbish = found(|it| {
        it.records.push(Record { value: Some(b"21.5".to_vec()), ..record(&message(0, 1), 9) });
    });
    assert_eq!(rubbish, Findings { invented: 1, ..nothing() });
}

#[test]
fn a_record_with_another_key_value_or_header_is_corrupted() {
    let corrupted = Findings { corrupted: 1, ..nothing() };
    assert_eq!(found(|it| it.records[2].key = None), corrupted);
    assert_eq!(found(|it| it.records[2].headers.clear()), corrupted);
    assert_eq!(found(|it| it.records[2].headers[0].1 = b"9".to_vec()), corrupted);
    let more = ("more".to_owned(), Vec::new());
    assert_eq!(found(|it| it.records[2].headers.push(more)), corrupted);
    let change = |value: &mut Option<Vec<u8>>| {
        let value = value.as_mut().unwrap();
        let last = value.len() - 3;
        value[last] = b'!';
    };
    assert_eq!(found(|it| change(&mut it.records[2].value)), corrupted);
    assert_eq!(found(|it| change(&mut it.dead_letters[0].value)), corrupted);
    assert_eq!(found(|it| it.dead_letters[0].key = None), corrupted);
    assert_eq!(found(|it| it.dead_letters[0].headers.truncate(1)), corrupted);
}

#[test]
fn a_record_with_another_timestamp_is_restamped() {
    let restamped = found(|it| it.records[2].timestamp += 1);
    assert_eq!(restamped, Findings { restamped: 1, ..nothing() });
}

#[test]
fn a_message_that_ends_in_the_wrong_topic_is_misplaced() {
    let rejected = found(|it| {
        let rejected = it.sent[3].message.clone();
        it.records.remove(3);
        it.dead_letters.push(dead_letter(&rejected, 1));
    });
    assert_eq!(rejected, Findings { misplaced: 1, ..nothing() });
    let delivered = found(|it| {
        it.dead_letters.clear();
        it.records.push(record(&it.sent[9].message, 4));
    });
    assert_eq!(delivered, Findings { misplaced: 1, ..nothing() });
}

#[test]
fn a_second_record_of_a_message_is_doubled_and_out_of_nobodys_order() {
    let copy = |it: &mut Evidence| it.records.push(Record { offset: 9, ..it.records[1].clone() });
    assert_eq!(found(copy), Findings { doubled: 1, ..nothing() });
    let copy_among_dead_letters =
        |it: &mut Evidence| it.dead_letters.push(it.dead_letters[0].clone());
    assert_eq!(found(copy_among_dead_letters), Findings { doubled: 1, ..nothing() });
}

#[test]
fn messages_that_overtake_others_of_their_topic_are_out_of_order() {
    let one_late = found(|it| it.records[..5].rotate_left(1));
    assert_eq!(one_late, Findings { out_of_order: 1, ..nothing() });
    let reversed = found(|it| it.records[..5].reverse());
    assert_eq!(reversed, Findings { out_of_order: 4, ..nothing() });
    let other_topics_between = found(|it| it.records[3..7].rotate_left(2));
    assert_eq!(other_topics_between, nothing());
}

#[test]
fn what_waits_in_the_server_is_left_behind() {
    assert_eq!(found(|it| it.left_behind = 3), Findings { left_behind: 3, ..nothing() });
}

#[test]
fn violations_are_named() {
    let mut evidence = good();
    evidence.records.remove(3);
    evidence.records[2].timestamp = 0;
    let examples = check(&evidence).examples;
    assert_eq!(examples.len(), 2, "{examples:?}");
    assert!(examples[0].starts_with("restamped: (0, 2) has 0 instead of"), "{examples:?}");
    assert_eq!(examples[1], "early: (0, 3) was acknowledged and is nowhere");
}

#[test]
fn a_line_at_exit_that_does_not_agree_is_noticed() {
    let ledger = Ledger {
        received: 10,
        delivered: 9,
        dead_lettered: 1,
        skipped: 0,
        dropped: 0,
        in_flight: 0,
    };
    let says = |ledger: Ledger, findings: &Findings, whole| disagreement(&ledger, findings, whole);
    assert_eq!(says(ledger, &nothing(), true), None);
    let doubled = Findings { records: (11, 1), doubled: 2, ..nothing() };
    assert_eq!(says(ledger, &doubled, true), None, "a producer was renewed");
    let part = Ledger { received: 5, delivered: 4, ..ledger };
    assert_eq!(says(part, &nothing(), false), None, "the others were received by another one");
    for (wrong, whole) in [
        (Ledger { received: 11, ..ledger }, false),
        (Ledger { received: 11, delivered: 10, ..ledger }, false),
        (Ledger { received: 11, dead_lettered: 2, ..ledger }, false),
        (part, true),
    ] {
        assert!(says(wrong, &nothing(), whole).is_some(), "{wrong:?}");
    }
}

#[test]
fn what_is_doubled_or_overtaken_is_named() {
    let mut evidence = good();
    evidence.records[..5].rotate_left(1);
    evidence.records.push(evidence.records[1].clone());
    let findings = check(&evidence);
    assert_eq!((findings.doubles.len(), findings.overtaken), (1, vec![((0, 0), (0, 4))]));
}
