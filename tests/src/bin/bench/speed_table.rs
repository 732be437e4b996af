//! The table of `speed`: what `host` costs, as a multiple of what the libraries cost.

use std::fmt::Write;

use crate::speed::Sample;
use crate::table::Spread;

/// What was measured, in the order of the table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Rumqttc,
    Librdkafka,
    Builtin,
    Plugin(String),
}

impl Subject {
    fn name(&self) -> String {
        match self {
            Self::Rumqttc => "rumqttc alone".to_owned(),
            Self::Librdkafka => "librdkafka alone".to_owned(),
            Self::Builtin => "host".to_owned(),
            Self::Plugin(name) => format!("host, {name}"),
        }
    }

    fn is_host(&self) -> bool {
        matches!(self, Self::Builtin | Self::Plugin(_))
    }
}

/// All that was measured of one subject at one quality of service.
#[derive(Debug)]
pub struct Row {
    pub subject: Subject,
    pub qos: u8,
    pub samples: Vec<Sample>,
}

/// The table for one quality of service.
pub fn table(rows: &[Row], qos: u8) -> String {
    let rows: Vec<_> = rows.iter().filter(|row| row.qos == qos).collect();
    let cpu = |row: &Row| spread(row, |sample| sample.cpu_us_per_message);
    let (host, floor): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.subject.is_host());
    let floor_us: f64 = floor.iter().map(|row| cpu(row).median).sum();

    let mut text = format!(
        "{:<22}{:>18}{:>18}{:>9}{:>5}  {}\n",
        format!("QoS {qos}"),
        "1,000/s",
        "CPU us",
        "x floor",
        "MiB",
        "records"
    );
    for row in floor.iter().chain(&host) {
        if row.subject == Subject::Builtin {
            // In a String nothing can fail.
            let _ = writeln!(text, "{:<22}{:>18}{floor_us:>18.2}{:>9.2}", "floor", "", 1.0);
        }
        let rate = spread(row, |sample| sample.messages_per_second / 1_000.0);
        let ratio = if row.subject.is_host() {
            format!("{:.2}", cpu(row).median / floor_us)
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "{:<22}{:>18}{:>18}{ratio:>9}{:>5.0}  {}",
            row.subject.name(),
            rate.show(0),
            cpu(row).show(2),
            spread(row, |sample| sample.peak_resident_mib).high,
            records(row)
        );
    }
    text
}

/// Whether Kafka had each message exactly once in every run.
fn records(row: &Row) -> String {
    if let Some(sample) = row.samples.iter().find(|sample| !sample.is_whole()) {
        let records = sample.records.unwrap_or_default();
        return format!("{records} INSTEAD OF {}", sample.expected);
    }
    let dropped: usize = row.samples.iter().map(|sample| sample.dropped).sum();
    if row.samples.iter().any(|sample| sample.records.is_none()) {
        String::new()
    } else if dropped > 0 {
        format!("all but {dropped} dropped and counted")
    } else {
        "all".to_owned()
    }
}

fn spread(row: &Row, what: impl Fn(&Sample) -> f64) -> Spread {
    Spread::of(row.samples.iter().map(what)).expect("a row has samples")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subject: Subject, costs: &[f64], records: Option<usize>) -> Row {
        let sample = |&cpu_us_per_message: &f64| Sample {
            messages_per_second: 1e6,
            cpu_us_per_message,
            peak_resident_mib: 9.0,
            expected: 10,
            dropped: 0,
            records,
        };
        Row { subject, qos: 1, samples: costs.iter().map(sample).collect() }
    }

    #[test]
    fn the_host_stands_beside_the_sum_of_what_the_libraries_cost() {
        let rows = [
            row(Subject::Rumqttc, &[0.9, 0.5, 0.4], None),
            row(Subject::Librdkafka, &[1.0, 2.0], Some(10)),
            row(Subject::Builtin, &[4.0], Some(10)),
        ];
        let table = table(&rows, 1);
        let line = |name| table.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("rumqttc").contains("0.50 (0.40-0.90)"), "{table}");
        assert!(line("librdkafka").contains("1.50 (1.00-2.00)"), "{table}");
        assert!(line("floor").contains("2.00"), "{table}");
        assert!(line("host").contains("2.00    9  all"), "{table}");
    }

    #[test]
    fn missing_records_are_shouted_about() {
        let table = table(&[row(Subject::Builtin, &[1.0], Some(9))], 1);
        assert!(table.contains("9 INSTEAD OF 10"), "{table}");
    }
}
