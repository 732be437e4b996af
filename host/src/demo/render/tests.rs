use super::*;

fn a_record() -> Record {
    Record {
        topic: "plant".to_owned(),
        partition: 2,
        key: Some("press-1".into()),
        value: r#"{"value":21.5,"topic":"plant/press-1/temperature"}"#.into(),
        timestamp_ms: 1_700_000_000_123,
        headers: vec![("firmware".to_owned(), "1.4.7".into())],
        ..Record::default()
    }
}

/// A record in which everything is too long.
fn a_long_record() -> Record {
    let long = "\u{1b}[2Jä\r\n,".repeat(200);
    Record {
        topic: "a-topic-with-a-long-name.dead-letter".to_owned(),
        key: Some(long.clone().into()),
        value: long.clone().into(),
        timestamp_ms: i64::MAX / 1_000_000,
        headers: (0..20).map(|index| (format!("header-{index}"), long.clone().into())).collect(),
        ..Record::default()
    }
}

fn a_check() -> Check {
    let mut check = Check::default();
    (check.published, check.confirmed, check.read) = (99_999_999, 99_999_999, 99_999_999);
    check
}

/// Without what colours it.
fn bare(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default();
    first.to_owned() + &parts.filter_map(|part| Some(part.split_once('m')?.1)).collect::<String>()
}

#[test]
fn every_line_fits_a_terminal_and_moves_no_cursor() {
    let ledger =
        "received=1000000 delivered=1000000 dead_lettered=1000000 skipped=1000000 dropped=1000000";
    let addresses =
        Addresses { mqtt_3: 65_535, mqtt_5: 65_535, kafka: "127.0.0.1:65535".to_owned() };
    for style in [Style::Plain, Style::Coloured] {
        let lines = [
            introduction(style, &addresses),
            record(style, &a_record()),
            record(style, &a_long_record()),
            vec![status(style, &a_check(), 1e6, 86_400)],
            summary(style, &a_check(), 86_400.0, ledger),
            next_steps(style, "target/release/host", "target/wasm32-unknown-unknown/plugin"),
        ];
        for line in lines.concat() {
            let bare = if style == Style::Plain { line } else { bare(&line) };
            assert!(bare.chars().count() <= WIDTH, "{bare}");
            assert!(!bare.contains(char::is_control), "{bare:?}");
        }
    }
}

#[test]
fn a_record_is_shown_with_all_that_it_has() {
    let lines = record(Style::Plain, &a_record());
    let expected = [
        "plant[2]                press-1                        2023-11-14 22:13:20.123",
        r#"  {"value":21.5,"topic":"plant/press-1/temperature"}"#,
        "  firmware=1.4.7",
    ];
    assert_eq!(lines, expected);
    let coloured: Vec<_> =
        record(Style::Coloured, &a_record()).iter().map(|line| bare(line)).collect();
    assert_eq!(coloured, expected);
}

#[test]
fn a_value_breaks_after_a_comma_or_shows_both_its_ends() {
    let value = format!("{{\"a\":\"{}\",\"b\":\"{}\"}}", "x".repeat(60), "y".repeat(40));
    let lines = value_lines(&value);
    assert!(lines[0].ends_with("x\",") && lines[1].starts_with("\"b\""), "{lines:?}");
    let lines = value_lines(&format!("start{}end", "x".repeat(500)));
    assert!(lines[0].starts_with("start") && lines[0].ends_with(DOTS), "{lines:?}");
    assert!(lines.len() == 2 && lines[1].ends_with("end"), "{lines:?}");
}

#[test]
fn a_key_that_is_null_says_so() {
    let lines = record(Style::Plain, &Record { key: None, ..a_record() });
    assert!(lines[0].contains("  (null)  "), "{lines:?}");
}

#[test]
fn numbers_are_grouped_by_thousands() {
    let grouped = [0, 999, 1000, 1_234_567].map(grouped);
    assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
}
