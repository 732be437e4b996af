//! The table of many rounds, as markdown: a row for each fault, and one for all of them.

use std::fmt::Write as _;
use std::time::Duration;

use super::round::Outcome;
use super::watch::Seen;

const HEAD: &str = "\
| fault | rounds | good | messages | lost | early | invented | corrupted | restamped | misplaced | out of order \
| doubled | left behind | longest quiet, s | spin, % | caught up within, s | MiB | descriptors | threads |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// Rows in the order in which faults came first.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut faults: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !faults.contains(&outcome.fault) {
            faults.push(outcome.fault);
        }
    }
    let mut text = HEAD.to_owned();
    for fault in &faults {
        row(&mut text, fault, &outcomes.iter().filter(|it| it.fault == *fault).collect::<Vec<_>>());
    }
    if faults.len() > 1 {
        row(&mut text, "all", &outcomes.iter().collect::<Vec<_>>());
    }
    text
}

fn row(text: &mut String, name: &str, outcomes: &[&Outcome]) {
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(|it| count(it)).sum::<usize>();
    let counts = [
        outcomes.len(),
        outcomes.iter().filter(|it| it.is_good()).count(),
        sum(|it| it.findings.messages),
        sum(|it| it.findings.lost),
        sum(|it| it.findings.early),
        sum(|it| it.findings.invented),
        sum(|it| it.findings.corrupted),
        sum(|it| it.findings.restamped),
        sum(|it| it.findings.misplaced),
        sum(|it| it.findings.out_of_order),
        sum(|it| it.findings.doubled),
        sum(|it| it.findings.left_behind),
    ];
    let seen = outcomes.iter().fold(Seen::default(), |worst, it| worst.worst(&it.seen));
    let late = outcomes.iter().map(|it| it.caught_up.unwrap_or(Duration::MAX)).max();
    let late = late
        .filter(|late| *late < Duration::MAX)
        .map_or_else(|| "never".to_owned(), |late| format!("{:.1}", late.as_secs_f64()));
    // In a String nothing can fail.
    let _ = write!(text, "| {name} |");
    for count in counts {
        let _ = write!(text, " {} |", grouped(count));
    }
    let _ = writeln!(
        text,
        " {:.1} | {} | {late} | {} | {} | {} |",
        seen.silence.as_secs_f64(),
        seen.spin,
        seen.resident_bytes >> 20,
        seen.descriptors,
        seen.threads
    );
}

/// 12,576,371
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::checker::Findings;
    use crate::wire::Version;

    fn outcome(fault: &'static str, lost: usize, caught_up: Option<u64>) -> Outcome {
        Outcome {
            fault,
            seed: 1,
            qos: 1,
            version: Version::V311,
            findings: Findings { messages: 1_234, lost, ..Findings::default() },
            seen: Seen {
                spin: 7,
                resident_bytes: 3 << 20,
                descriptors: 19,
                threads: 11,
                ..Seen::default()
            },
            caught_up: caught_up.map(Duration::from_secs),
            ids_in_use: 0,
            sent_after_release: 0,
            violations: (lost > 0).then(|| "lost".to_owned()).into_iter().collect(),
        }
    }

    #[test]
    fn rounds_of_a_fault_are_added_up_and_the_worst_is_shown() {
        let outcomes = [outcome("a", 0, Some(2)), outcome("b", 5, None), outcome("a", 0, Some(1))];
        let table = table(&outcomes);
        let rows: Vec<_> = table.lines().skip(2).collect();
        let expected = [
            "| a | 2 | 2 | 2,468 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0.0 | 7 | 2.0 | 3 | 19 | 11 |",
            "| b | 1 | 0 | 1,234 | 5 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0.0 | 7 | never | 3 | 19 | 11 |",
            "| all | 3 | 2 | 3,702 | 5 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0.0 | 7 | never | 3 | 19 | 11 |",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn large_numbers_can_be_read() {
        let numbers = [0, 999, 1_000, 12_576_371].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "12,576,371"]);
    }
}
