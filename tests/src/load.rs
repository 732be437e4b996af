//! Messages that tell who sent them, on what topic and as the how-manieth, and what must be true
//! of the records that they become.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::kafka::{Kafka, Record};
use crate::publisher::Publisher;
use crate::wire::Publish;

/// Messages that a [`Load`] publishes in one go.
const BURST: usize = 100;

/// The time of the first message, an hour ago; each next one is a millisecond younger.
static FIRST_MS: LazyLock<i64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    now.as_millis() as i64 - 3_600_000
});

/// `count` messages at this quality of service, dealt out over `topics` topics below `prefix`.
///
/// Each payload is JSON of about 200 bytes that no other message of the test has, with a time of its own.
pub fn messages(prefix: &str, topics: usize, count: usize, qos: u8) -> Vec<Publish> {
    (0..count).map(|sequence| message(prefix, topics, sequence, qos)).collect()
}

fn message(prefix: &str, topics: usize, sequence: usize, qos: u8) -> Publish {
    let topic = format!("{prefix}/{}", sequence % topics);
    let (padding, time) = ("x".repeat(95), *FIRST_MS + sequence as i64);
    let payload = format!(
        r#"{{"_timestamp":{time},"topic":"{topic}","sequence":{sequence},"temperature":21.5,"padding":"{padding}"}}"#
    );
    Publish::new(topic, payload).qos(qos)
}

/// Bytes that no compression makes smaller, the same ones every time.
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Publishes at quality of service 1 in the background until it is told to stop.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    confirmed: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Publish>>,
}

impl Load {
    /// Publishes about `per_second` messages a second over four topics below `prefix`.
    pub fn start(port: u16, prefix: &str, per_second: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let confirmed = Arc::new(AtomicUsize::new(0));
        let mut publisher = Publisher::connect(port, &format!("load-{prefix}"));
        let (prefix, halt) = (prefix.to_owned(), Arc::clone(&stop));
        let count = Arc::clone(&confirmed);
        let pause = Duration::from_secs(1) * BURST as u32 / per_second;
        let thread = std::thread::spawn(move || {
            let mut sent = Vec::new();
            let mut next = Instant::now();
            while !halt.load(Ordering::Relaxed) {
                let range = sent.len()..sent.len() + BURST;
                let burst: Vec<_> = range.map(|index| message(&prefix, 4, index, 1)).collect();
                publisher.publish(&burst);
                sent.extend(burst);
                count.store(sent.len(), Ordering::Relaxed);
                next += pause;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            sent
        });
        Self { stop, confirmed, thread }
    }

    /// How many messages the broker has confirmed so far.
    pub fn confirmed(&self) -> usize {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Waits until so many more messages are confirmed.
    pub fn wait_for_more(&self, count: usize) {
        let goal = self.confirmed() + count;
        crate::eventually("the publisher gets on", crate::A_WHILE, || {
            (self.confirmed() >= goal).then_some(())
        });
    }

    /// Stops; the answer is what the broker has confirmed.
    pub fn stop(self) -> Vec<Publish> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the publisher does not fail")
    }
}

/// Every message is there at least once, with its bytes, its topic as the key, the time in its payload if
/// there is one, and no header, and the first copies of the messages of one topic are in the order
/// they were published.
///
/// The answer is the number of duplicates.
///
/// # Panics
/// If that is not so.
pub fn assert_carried(published: &[Publish], records: &[Record]) -> usize {
    let mut first = HashMap::with_capacity(records.len());
    let mut partition_of = HashMap::new();
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let (key, value) = (key.expect("a key"), value.expect("a value"));
        let partition = *partition_of.entry(key).or_insert(record.partition);
        assert_eq!(partition, record.partition, "one topic stays in one partition");
        let time = time_of(value);
        assert!(time.is_none_or(|time| time == record.timestamp), "another time: {record:?}");
        assert_eq!(record.headers, [], "headers of {record:?}");
        first.entry((key, value)).or_insert(record.offset);
    }
    let duplicates = records.len() - first.len();
    let mut last: HashMap<&str, (i64, usize)> = HashMap::new();
    let mut missing = Vec::new();
    for (index, message) in published.iter().enumerate() {
        let identity = (message.topic.as_bytes(), message.payload.as_slice());
        let Some(&offset) = first.get(&identity) else {
            missing.push(index);
            continue;
        };
        if let Some((before, of)) = last.insert(&message.topic, (offset, index)) {
            assert!(before < offset, "message {index} overtook {of} of {}", message.topic);
        }
    }
    assert!(
        missing.is_empty(),
        "{} of {} messages are lost, such as those with index {:?}",
        missing.len(),
        published.len(),
        &missing[..missing.len().min(10)]
    );
    assert_eq!(first.len(), published.len(), "nothing is there that was not published");
    duplicates
}

/// The time in a payload of [`messages`].
fn time_of(payload: &[u8]) -> Option<i64> {
    let rest = payload.strip_prefix(br#"{"_timestamp":"#)?;
    let digits = rest.split(|byte| *byte == b',').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Waits until every message is there, then [`assert_carried`].
///
/// # Panics
/// If that does not come true within `deadline`.
pub fn wait_until_carried(
    published: &[Publish],
    kafka: &Kafka,
    topic: &str,
    deadline: Duration,
) -> usize {
    let end = Instant::now() + deadline;
    loop {
        let records = kafka.wait_for(topic, published.len(), deadline);
        // Duplicates can make up the number while messages are still missing.
        let values: HashSet<_> =
            records.iter().filter_map(|record| record.value.as_deref()).collect();
        let all = published.iter().all(|message| values.contains(message.payload.as_slice()));
        if all || Instant::now() > end {
            return assert_carried(published, &records);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// [`assert_carried`], and nothing is there twice.
///
/// # Panics
/// If that is not so.
pub fn assert_carried_once(published: &[Publish], records: &[Record]) {
    assert_eq!(assert_carried(published, records), 0, "duplicates");
}
