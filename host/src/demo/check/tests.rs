use super::*;

const SENT: i64 = 1_700_000_000_000;
const NOW: i64 = SENT + 50;

fn expected(number: u64) -> Expected {
    Expected {
        number,
        mqtt_topic: format!("plant/press-{number}/temperature"),
        kafka_topic: "plant".to_owned(),
        key: format!("press-{number}"),
        value: format!("value {number}").into(),
        timestamp: Timestamp::Exactly(SENT),
    }
}

fn record(number: u64) -> Record {
    Record {
        topic: "plant".to_owned(),
        key: Some(format!("press-{number}").into()),
        value: format!("value {number}").into(),
        timestamp_ms: SENT,
        ..Record::default()
    }
}

/// Messages 1 to `count`, all of them confirmed.
fn confirmed(count: u64) -> Check {
    let mut check = Check::default();
    for number in 1..=count {
        check.published(expected(number));
        check.confirmed(expected(number).value);
    }
    check
}

/// What is said when one message comes out as this record.
fn verdict_on(record: &Record) -> String {
    let mut check = confirmed(1);
    check.read(record, NOW);
    check.verdict().expect_err("a wrong record")
}

#[test]
fn all_is_well_when_every_confirmed_message_is_read_back() {
    let mut check = confirmed(2);
    check.published(expected(3));
    for number in [3, 1, 2] {
        check.read(&record(number), NOW);
    }
    assert!(!check.is_complete());
    check.confirmed(expected(3).value);
    assert!(check.is_complete());
    assert_eq!((check.published, check.confirmed, check.read, check.lost()), (3, 3, 3, 0));
    assert_eq!(check.verdict(), Ok(()));
}

#[test]
fn a_confirmed_message_that_is_not_read_back_is_lost_and_named() {
    let mut check = confirmed(3);
    check.read(&record(1), NOW);
    check.read(&record(3), NOW);
    let verdict =
        "1 of 3 confirmed messages are not in Kafka: message 2 on plant/press-2/temperature";
    assert_eq!((check.lost(), check.verdict()), (1, Err(verdict.to_owned())));
}

#[test]
fn of_many_lost_messages_the_first_are_named() {
    let verdict = confirmed(9).verdict().expect_err("nothing was read back");
    assert!(verdict.starts_with("9 of 9 "), "{verdict}");
    assert!(verdict.ends_with("message 3 on plant/press-3/temperature, ..."), "{verdict}");
}

#[test]
fn a_message_that_was_never_confirmed_is_not_lost_but_told() {
    let mut check = Check::default();
    check.published(expected(1));
    assert_eq!((check.lost(), check.is_complete()), (0, false));
    assert!(check.verdict().expect_err("a silent broker").contains("never confirmed"));
}

#[test]
fn a_record_with_another_key_timestamp_or_topic_is_wrong() {
    let key = verdict_on(&Record { key: Some("x".into()), ..record(1) });
    assert!(key.contains("plant[0]@0 has the key 'x', not 'press-1'"), "{key}");
    let time = verdict_on(&Record { timestamp_ms: SENT + 1, ..record(1) });
    assert!(time.contains("has the timestamp 1700000000001, not Exactly(1700000000000)"), "{time}");
    let topic = verdict_on(&Record { topic: "other".to_owned(), ..record(1) });
    assert!(topic.contains("is at other[0]@0, not in plant"), "{topic}");
}

#[test]
fn a_record_dated_by_its_arrival_is_right_between_publication_and_now() {
    for (arrival, right) in [(SENT - 1, false), (SENT, true), (NOW, true), (NOW + 1, false)] {
        let mut check = Check::default();
        check.published(Expected { timestamp: Timestamp::NotBefore(SENT), ..expected(1) });
        check.confirmed(expected(1).value);
        check.read(&Record { timestamp_ms: arrival, ..record(1) }, NOW);
        assert_eq!(check.verdict().is_ok(), right, "{arrival}");
    }
}

#[test]
fn a_record_that_nobody_sent_is_wrong_and_one_that_came_twice_is_not() {
    let mut check = confirmed(1);
    check.read(&record(1), NOW);
    check.read(&record(1), NOW);
    assert_eq!((check.duplicates, check.read, check.verdict()), (1, 1, Ok(())));
    check.read(&record(2), NOW);
    assert_eq!(
        check.verdict(),
        Err("records are wrong: plant[0]@0 is a record of no message".to_owned())
    );
}

#[test]
fn a_record_that_came_twice_before_it_was_confirmed_counts_once() {
    let mut check = Check::default();
    check.published(expected(1));
    check.read(&record(1), NOW);
    check.read(&record(1), NOW);
    check.confirmed(expected(1).value);
    assert_eq!((check.duplicates, check.read, check.is_complete()), (1, 1, true));
}
