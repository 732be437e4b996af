//! Standard output: lines, and on a terminal a status line below them that changes in place.
//!
//! Decides which records are shown: the first ones, then a few per second.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

use super::reader::Record;
use super::render::{self, Style};

/// How many records are shown one by one; devices take a second or two to send them.
const FIRST: u64 = 15;
/// Afterwards, the time between two that are.
const SAMPLE_EVERY: Duration = Duration::from_millis(400);
/// Time between two status lines where they cannot change in place.
const STATUS_EVERY: Duration = Duration::from_secs(1);

const START_OF_CLEARED_LINE: &str = "\r\x1b[2K";

/// Where the demonstration is shown.
pub struct Screen {
    out: Box<dyn Write>,
    pub style: Style,
    /// The status line can change in place.
    live: bool,
    /// What the status line says now; empty if there is none.
    status: String,
    status_at: Option<Instant>,
    shown: u64,
    last_record: Option<Instant>,
    dead_letter_shown: bool,
    gone: bool,
}

impl Screen {
    /// Standard output, with what it can do. The only place that asks the environment.
    pub fn stdout() -> Self {
        let out = std::io::stdout();
        let is = |name: &str, wanted: fn(&str) -> bool| {
            std::env::var(name).is_ok_and(|value| wanted(&value))
        };
        let live = out.is_terminal() && !is("TERM", |term| term == "dumb");
        let colour = live && !is("NO_COLOR", |value| !value.is_empty());
        Self::new(Box::new(out), if colour { Style::Coloured } else { Style::Plain }, live)
    }

    pub fn new(out: Box<dyn Write>, style: Style, live: bool) -> Self {
        Self {
            out,
            style,
            live,
            status: String::new(),
            status_at: None,
            shown: 0,
            last_record: None,
            dead_letter_shown: false,
            gone: false,
        }
    }

    /// Nobody reads any more, as with `| head`.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    pub fn lines(&mut self, lines: &[String]) {
        let clear = if self.status.is_empty() { "" } else { START_OF_CLEARED_LINE };
        let text = format!("{clear}{}\n{}", lines.join("\n"), self.status);
        self.write(&text);
    }

    /// Shows a record, or does not.
    pub fn record(&mut self, record: &Record, now: Instant) {
        if self.wants(record, now) {
            self.lines(&render::record(self.style, record));
        }
    }

    fn wants(&mut self, record: &Record, now: Instant) -> bool {
        let new_kind = record.is_dead_letter() && !self.dead_letter_shown;
        let due = self.last_record.is_none_or(|last| now - last >= SAMPLE_EVERY);
        let wanted = self.shown < FIRST || due || new_kind;
        if wanted {
            self.shown += 1;
            self.last_record = Some(now);
            self.dead_letter_shown |= record.is_dead_letter();
        }
        wanted
    }

    /// Changes the status line; where that is not possible, writes one every now and then.
    pub fn status(&mut self, status: String, now: Instant) {
        if self.live {
            self.write(&format!("{START_OF_CLEARED_LINE}{status}"));
            self.status = status;
        } else if self.status_at.is_none_or(|last| now - last >= STATUS_EVERY) {
            self.status_at = Some(now);
            self.lines(&[status]);
        }
    }

    /// Ends the status line.
    pub fn end_status(&mut self) {
        if !std::mem::take(&mut self.status).is_empty() {
            self.write(START_OF_CLEARED_LINE);
        }
    }

    fn write(&mut self, text: &str) {
        if !self.gone {
            let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
            self.gone = written.is_err();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // What is said next, such as an error, begins on a line of its own.
        self.end_status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(topic: &str) -> Record {
        Record { topic: topic.to_owned(), ..Record::default() }
    }

    #[test]
    fn the_first_records_are_shown_and_then_a_few_per_second() {
        let mut screen = Screen::new(Box::new(std::io::sink()), Style::Plain, false);
        let start = Instant::now();
        let mut shown =
            |topic: &str, ms| screen.wants(&letter(topic), start + Duration::from_millis(ms));
        assert!((0..FIRST).all(|index| shown("plant", index)));
        let later = FIRST + 1..FIRST + 4001;
        assert_eq!(later.filter(|ms| shown("plant", *ms)).count(), 10);
    }

    #[test]
    fn the_first_dead_letter_is_always_shown() {
        let mut screen = Screen::new(Box::new(std::io::sink()), Style::Plain, false);
        let start = Instant::now();
        let mut shown =
            |topic: &str, ms| screen.wants(&letter(topic), start + Duration::from_millis(ms));
        assert!((0..FIRST).all(|_| shown("plant", 0)) && !shown("plant", 1));
        assert!(shown("plant.dead-letter", 2) && !shown("plant.dead-letter", 3));
    }
}
