//! Tables of medians of all rounds, with the lowest and the highest value beside them.

use std::fmt::Write;
use std::time::Duration;

use crate::topic::Latency;

/// What one run has shown.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub per_second: f64,
    pub cpu_us: f64,
    /// Percent of a processor.
    pub percent: f64,
    pub latency: Option<Latency>,
    /// Messages that were published and are not in Kafka.
    pub missing: usize,
}

impl Sample {
    pub fn of(messages: usize, elapsed: Duration, cpu: Duration) -> Self {
        let (messages, elapsed, cpu) = (messages as f64, elapsed.as_secs_f64(), cpu.as_secs_f64());
        Self {
            per_second: messages / elapsed,
            cpu_us: cpu * 1e6 / messages,
            percent: 100.0 * cpu / elapsed,
            latency: None,
            missing: 0,
        }
    }
}

/// A column: its name, how many digits stand behind the point, and where its value is.
pub type Column = (&'static str, usize, fn(&Sample) -> Option<f64>);

pub const RATE: Column = ("messages/s", 0, |sample| Some(sample.per_second));
pub const CPU: Column = ("CPU us", 1, |sample| Some(sample.cpu_us));
pub const PERCENT: Column = ("% of a core", 1, |sample| Some(sample.percent));
pub const MEDIAN: Column = ("p50 ms", 1, |sample| Some(sample.latency?.median));
pub const P99: Column = ("p99 ms", 1, |sample| Some(sample.latency?.p99));

/// The samples of each row, in the order in which rows came first.
#[derive(Debug, Default)]
pub struct Table(Vec<(String, Vec<Sample>)>);

impl Table {
    pub fn add(&mut self, row: impl Into<String>, sample: Sample) {
        let row = row.into();
        match self.0.iter_mut().find(|(known, _)| *known == row) {
            Some((_, samples)) => samples.push(sample),
            None => self.0.push((row, vec![sample])),
        }
    }

    /// The median of a column in a row, if there is one.
    pub fn median(&self, row: &str, column: Column) -> Option<f64> {
        let (_, samples) = self.0.iter().find(|(known, _)| known == row)?;
        Some(Spread::of(samples.iter().filter_map(column.2))?.median)
    }

    /// How many records are missing in all.
    pub fn missing(&self) -> usize {
        self.0.iter().flat_map(|(_, samples)| samples).map(|sample| sample.missing).sum()
    }

    pub fn show(&self, title: &str, columns: &[Column]) -> String {
        let names = columns.iter().map(|(name, ..)| format!("{name:>25}"));
        let mut text = format!("{title:<26}{}  records\n", names.collect::<String>());
        for (row, samples) in &self.0 {
            let cells = columns.iter().map(|(_, digits, value)| {
                let spread = Spread::of(samples.iter().filter_map(value));
                format!("{:>25}", spread.map(|spread| spread.show(*digits)).unwrap_or_default())
            });
            let missing: usize = samples.iter().map(|sample| sample.missing).sum();
            let records =
                if missing == 0 { "all".to_owned() } else { format!("{missing} ARE MISSING") };
            // In a String nothing can fail.
            let _ = writeln!(text, "{row:<26}{}  {records}", cells.collect::<String>());
        }
        text
    }
}

/// A median between the two ends.
pub struct Spread {
    low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(*values.get(middle.checked_sub(1)?)?, values[middle])
        } else {
            values[middle]
        };
        Some(Self { low: values[0], median, high: values[values.len() - 1] })
    }

    pub fn show(&self, digits: usize) -> String {
        let Self { low, median, high } = self;
        format!("{median:.digits$} ({low:.digits$}-{high:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_medians_of_its_samples_and_shouts_about_missing_records() {
        let mut table = Table::default();
        for (cpu, missing) in [(300, 0), (100, 2), (200, 0)] {
            let sample = Sample::of(100, Duration::from_secs(1), Duration::from_millis(cpu));
            table.add("host", Sample { missing, ..sample });
        }
        table.add("floor", Sample::of(10, Duration::from_secs(2), Duration::from_millis(20)));
        assert_eq!(table.median("host", CPU), Some(2_000.0));
        assert_eq!(table.median("host", P99), None);
        let text = table.show("a test", &[RATE, CPU, PERCENT, P99]);
        let line = |name| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("host").contains("2000.0 (1000.0-3000.0)"), "{text}");
        assert!(line("host").ends_with("2 ARE MISSING"), "{text}");
        assert!(line("floor").contains("5 (5-5)") && line("floor").ends_with("all"), "{text}");
    }
}
