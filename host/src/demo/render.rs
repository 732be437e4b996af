//! What the demonstration says, as lines of at most [`WIDTH`] columns. Knows no terminal.

use super::brokers::Addresses;
use super::check::Check;
use super::clock;
use super::devices::Fleet;
use super::reader::Record;

/// One column less than a terminal of 80 has, so that no line wraps in any of them.
pub const WIDTH: usize = 79;

/// Stand for what is left out.
const DOTS: &str = "...";

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Coloured,
}

#[derive(Debug, Clone, Copy)]
enum Paint {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Cyan = 36,
}

impl Style {
    fn paint(self, paint: Paint, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{}m{text}\x1b[0m", paint as u8),
        }
    }
}

/// What is about to be shown.
pub fn introduction(style: Style, addresses: &Addresses) -> Vec<String> {
    let Addresses { mqtt_3, mqtt_5, kafka } = addresses;
    let mut lines = vec![
        style.paint(Paint::Bold, "simulated devices -> MQTT -> host with plugins -> Kafka"),
        "All of it runs in this process, on 127.0.0.1; Kafka is a simulated one.".to_owned(),
        String::new(),
        format!("  MQTT    127.0.0.1:{mqtt_3} (3.1.1), 127.0.0.1:{mqtt_5} (5)"),
        format!("  Kafka   {kafka}"),
        String::new(),
        style.paint(Paint::Dim, &route("MQTT filter", "plugins", "Kafka topic")),
    ];
    let routes = Fleet::ALL.map(|fleet| {
        let plugins: Vec<_> =
            fleet.plugins().iter().filter_map(|file| file.strip_suffix(".wasm")).collect();
        route(fleet.filter(), &plugins.join(" + "), fleet.kafka_topic())
    });
    lines.extend(routes);
    lines.push(String::new());
    lines.push(style.paint(Paint::Dim, &columns("topic[partition]", "key", "timestamp (UTC)")));
    lines
}

fn route(filter: &str, plugins: &str, topic: &str) -> String {
    format!("  {filter:<19}  {plugins:<34}  {topic}")
}

fn columns(topic: &str, key: &str, timestamp: &str) -> String {
    format!("{topic:<22}  {key:<29}  {timestamp}")
}

/// A record: where it is, its key and timestamp, its value, and its headers if it has any.
pub fn record(style: Style, record: &Record) -> Vec<String> {
    const HEADER_LINES: usize = 6;
    let key = record.key.as_ref().map_or("(null)".into(), |key| printable(key));
    let place = format!("{}[{}]", record.topic, record.partition);
    let paint = if record.is_dead_letter() { Paint::Red } else { Paint::Green };
    // Padded before it is painted: what paints takes no columns.
    let mut lines = vec![format!(
        "{}  {}  {}",
        style.paint(paint, &format!("{:<22}", elided(&place, 22))),
        style.paint(Paint::Cyan, &format!("{:<29}", elided(&key, 29))),
        clock::readable(record.timestamp_ms),
    )];
    lines.extend(value_lines(&printable(&record.value)).iter().map(|line| format!("  {line}")));
    let headers =
        wrapped(record.headers.iter().map(|(name, value)| format!("{name}={}", printable(value))));
    let headers = headers.into_iter().take(HEADER_LINES);
    lines.extend(headers.map(|line| style.paint(Paint::Dim, &format!("  {line}"))));
    lines
}

/// A value on at most two lines, which are indented by two: its two ends if it is longer.
fn value_lines(value: &str) -> Vec<String> {
    let width = WIDTH - 2;
    let characters: Vec<_> = value.chars().collect();
    let text = |characters: &[char]| characters.iter().collect::<String>();
    if characters.len() <= width {
        return vec![value.to_owned()];
    }
    // JSON reads best if it breaks after a comma.
    let comma = characters[..width].iter().rposition(|&char| char == ',').map(|at| at + 1);
    let at = comma.filter(|at| characters.len() - at <= width).unwrap_or(width);
    if characters.len() - at <= width {
        return vec![text(&characters[..at]), text(&characters[at..])];
    }
    let tail = &characters[characters.len() - width..];
    vec![format!("{}{DOTS}", text(&characters[..width - DOTS.len()])), text(tail)]
}

/// Items side by side, as many as fit a line that is indented by two.
fn wrapped(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        let item = elided(&item, WIDTH - 2);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + item.chars().count() <= WIDTH - 2 => {
                line.push_str("  ");
                line.push_str(&item);
            }
            _ => lines.push(item),
        }
    }
    lines
}

/// How far it is: `rate` in messages per second, `left` in seconds.
pub fn status(style: Style, check: &Check, rate: f64, left: u64) -> String {
    let [published, confirmed, read] = [check.published, check.confirmed, check.read].map(grouped);
    let left = if left == 0 { "finishing".to_owned() } else { format!("{left} s left") };
    let line = format!(
        "{published} published  {confirmed} confirmed  {read} in Kafka  {rate:.0}/s  {left}"
    );
    style.paint(Paint::Bold, &elided(&line, WIDTH))
}

/// How it went.
pub fn summary(style: Style, check: &Check, seconds: f64, ledger: &str) -> Vec<String> {
    let rate = check.published as f64 / seconds.max(0.001);
    let title = format!("{} messages in {seconds:.1} s, {rate:.0}/s", grouped(check.published));
    let count =
        |name: &str, count: u64, what: &str| format!("  {name:<13}{:>9}  {what}", grouped(count));
    let (lost, wrong) = (check.lost(), check.wrong());
    let bad = |number: u64, line: String| {
        style.paint(if number == 0 { Paint::Green } else { Paint::Red }, &line)
    };
    let mut lines = vec![
        String::new(),
        style.paint(Paint::Bold, &title),
        count("confirmed", check.confirmed, "by the MQTT broker, with a PUBACK"),
        count("in Kafka", check.read, "read back: value, key and timestamp compared"),
        count("dead letters", check.dead_letters, "of these; each kept whole, with the reason"),
        count("duplicates", check.duplicates, "at least once means there may be some"),
        bad(lost, count("lost", lost, "confirmed and not in Kafka")),
        bad(wrong, count("wrong", wrong, "not as they should be")),
    ];
    lines.extend(
        wrapped(ledger.split(' ').map(str::to_owned)).into_iter().map(|line| format!("  {line}")),
    );
    lines
}

/// What to try next; `program` as the user called it, `plugins` where they are.
pub fn next_steps(style: Style, program: &str, plugins: &str) -> Vec<String> {
    let commands = format!(
        "
Your own brokers:
  {program} --topic 'plant/#' --client-id plant-1 \\
    --server 127.0.0.1 --port 1883 --tls-enabled=false \\
    --broker-address 127.0.0.1:9092 --kafka-topic plant --print \\
    --plugin {plugins}/topic_level_key.wasm

A plugin of your own:
  cargo new --lib plugins/my-key
  cargo add --package my-key --path plugin-sdk
  cp plugins/topic-level-key/src/lib.rs plugins/my-key/src/
  cargo rustc --package my-key --crate-type cdylib \\
    --profile plugin --target wasm32-unknown-unknown
  # gives {plugins}/my_key.wasm"
    );
    let paint = |line: &str| match line {
        title if title.ends_with(':') => style.paint(Paint::Bold, title),
        line => line.to_owned(),
    };
    commands.lines().map(paint).collect()
}

/// Bytes as text without anything that moves a cursor.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// At most so many characters: both ends, and dots for what is between them.
fn elided(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(DOTS.len());
    let (head, tail) = (kept - kept / 2, kept / 2);
    let characters = || text.chars();
    characters().take(head).chain(DOTS.chars()).chain(characters().skip(count - tail)).collect()
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
