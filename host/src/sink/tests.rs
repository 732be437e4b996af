//! For tests: the sink against librdkafka's own simulated brokers, which answer what they are told to.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey as Request, RDKafkaRespErr as Code};

use super::native::{Headers, Partitions, Parts};
use super::*;
use crate::dice::Dice;
use crate::message::{Header, Record};

const PATIENCE: Duration = Duration::from_mins(1);

/// What is told of a record that Kafka has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Delivered {
    tag: Tag,
    topic: String,
    partition: i32,
    offset: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp_ms: Option<i64>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// What became of records.
#[derive(Default)]
struct Seen {
    delivered: Vec<Delivered>,
    rejected: Vec<(Tag, Reason)>,
}

#[derive(Default)]
struct Recorder {
    seen: Mutex<Seen>,
    told: Condvar,
}

impl Events for Recorder {
    fn delivered<'r>(&self, tag: Tag, record: &dyn Fn() -> Written<'r>) {
        let record = record();
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let headers = record.headers.iter();
        let delivered = Delivered {
            tag,
            topic: record.topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            key: owned(record.key),
            value: owned(record.value),
            timestamp_ms: record.timestamp_ms,
            headers: headers.map(|(name, value)| (name.to_owned(), owned(value))).collect(),
        };
        lock(&self.seen).delivered.push(delivered);
        self.told.notify_all();
    }

    fn rejected(&self, tag: Tag, rejected: Rejected, _: &mut Gathered) {
        lock(&self.seen).rejected.push((tag, rejected.reason));
        self.told.notify_all();
    }
}

impl Recorder {
    /// Waits until something has become of so many records.
    fn wait(&self, records: usize, sink: &Sink) -> Seen {
        self.wait_or(records, || sink.gates().state())
    }

    /// The same; `state` is what to show if it waits in vain.
    fn wait_or(&self, records: usize, state: impl Fn() -> String) -> Seen {
        let open = |seen: &mut Seen| seen.delivered.len() + seen.rejected.len() < records;
        let waited = self.told.wait_timeout_while(lock(&self.seen), PATIENCE, open);
        let mut seen = waited.unwrap_or_else(PoisonError::into_inner).0;
        let told = seen.delivered.len() + seen.rejected.len();
        assert_eq!(told, records, "something becomes of each\n{}", state());
        std::mem::take(&mut *seen)
    }
}

/// With some properties of librdkafka.
fn settings(brokers: String, properties: &[(&str, &str)]) -> Settings {
    let properties = properties.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Settings {
        brokers,
        client_id: "test".to_owned(),
        properties: properties.collect(),
        ..Settings::default()
    }
}

fn sink(brokers: String, recorder: &Arc<Recorder>) -> Sink {
    Sink::new(settings(brokers, &[]), Arc::clone(recorder) as _).expect("good settings")
}

const TOPICS: [&str; 3] = ["a", "b", "c"];
const KEYS: usize = 7;
const RECORDS: u64 = 600;

/// Sends records whose tags count up from `from`, each with one of a few keys, about so many at a time.
/// Gives each one's topic, key and value, which it has in a header, too.
fn send(
    sink: &Sink,
    from: Tag,
    group: usize,
    random: &mut Dice,
) -> HashMap<Tag, (&'static str, Vec<u8>, Vec<u8>)> {
    let (mut sent, mut gathered) = (HashMap::new(), Gathered::default());
    for tag in from..from + RECORDS {
        let topic = TOPICS[random.below(TOPICS.len())];
        let key = format!("{from}-{}", random.below(KEYS)).into_bytes();
        let value = format!("{tag}{}", "x".repeat(random.below(300))).into_bytes();
        let record = Record {
            key: Some(key.as_slice().into()),
            value: Some(value.as_slice().into()),
            timestamp_ms: 1_700_000_000_000 + tag as i64,
            choice: None,
        };
        let header = Header { name: "of".into(), value: Some(value.as_slice().into()) };
        gathered.add(tag, topic, &record, std::iter::once(header), Terms::default());
        sent.insert(tag, (topic, key, value));
        if random.below(group) == 0 {
            sink.send(&mut gathered);
        }
        if random.below(50) == 0 {
            std::thread::sleep(Duration::from_millis(random.below(4) as u64));
        }
    }
    sink.send(&mut gathered);
    sent
}

/// The time of a record as it is told. Simulated brokers say that they have appended each at the same time.
fn told_time(tag: Tag, offset: Option<i64>) -> i64 {
    const APPENDED: i64 = 1_234;
    offset.map_or(1_700_000_000_000 + tag as i64, |_| APPENDED)
}

/// What brokers answer to the next requests.
fn trouble(random: &mut Dice) -> Vec<Code> {
    let codes = [
        Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Code::RD_KAFKA_RESP_ERR_INVALID_RECORD,
        Code::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        Code::RD_KAFKA_RESP_ERR_NO_ERROR,
        Code::RD_KAFKA_RESP_ERR_NO_ERROR,
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
    ];
    (0..random.below(6)).map(|_| codes[random.below(codes.len())]).collect()
}

#[test]
fn whatever_brokers_answer_something_becomes_of_each_record_once_and_keys_stay_in_order() {
    for seed in 1..=12 {
        let mut random = Dice(seed);
        let cluster = MockCluster::new(1 + random.below(2) as i32).expect("simulated brokers");
        for topic in TOPICS {
            cluster.create_topic(topic, 1 + random.below(3) as i32, 1).expect("a topic");
        }
        let recorder = Arc::<Recorder>::default();
        // Simulated brokers do not look at sequence numbers: they take a batch whose predecessor they have
        // refused. So there must not be one.
        let sink = sink(cluster.bootstrap_servers(), &recorder);
        let sent = std::thread::scope(|scope| {
            let senders = [(0, 20), (RECORDS, 1)].map(|(from, group)| {
                let (sink, mut random) = (&sink, Dice(random.below(usize::MAX - 1) as u64 + 1));
                scope.spawn(move || send(sink, from, group, &mut random))
            });
            for _ in 0..6 {
                cluster.request_errors(Request::Produce, &trouble(&mut random));
                std::thread::sleep(Duration::from_millis(random.below(8) as u64));
            }
            let sent = senders.map(|sender| sender.join().expect("sending does not fail"));
            sent.into_iter().flatten().collect::<HashMap<_, _>>()
        });
        let seen = recorder.wait(sent.len(), &sink);
        let rejected = seen.rejected.iter().map(|(tag, _)| *tag);
        let mut tags: Vec<Tag> =
            seen.delivered.iter().map(|told| told.tag).chain(rejected).collect();
        tags.sort_unstable();
        assert!(tags.iter().copied().eq(0..2 * RECORDS), "each once, with seed {seed}");
        // By sender, topic and key: the same partition, and offsets that rise with the tags.
        let mut last = HashMap::new();
        let mut delivered = seen.delivered;
        delivered.sort_unstable_by_key(|told| told.tag);
        for told in delivered {
            let Delivered { tag, partition, offset, .. } = told;
            let (topic, key, value) = &sent[&tag];
            let before = last.insert((topic, key), (partition, offset));
            let rises = before.is_none_or(|before| before.0 == partition && before.1 < offset);
            assert!(rises, "{tag} is at {offset:?} of {partition}, behind {before:?}; seed {seed}");
            let expected = Delivered {
                tag,
                topic: (*topic).to_owned(),
                partition,
                offset,
                key: Some(key.clone()),
                value: Some(value.clone()),
                timestamp_ms: Some(told_time(tag, offset)),
                headers: vec![("of".to_owned(), Some(value.clone()))],
            };
            assert_eq!(told, expected, "with seed {seed}");
        }
    }
}

#[test]
fn what_comes_later_does_not_overtake_what_was_sent_with_a_refused_record() {
    const BURST: Tag = 16;
    // So large that the thread of the broker would be awake before all of a burst were handed over.
    let value = vec![b'x'; 60_000];
    let cluster = MockCluster::new(1).expect("simulated brokers");
    let recorder = Arc::<Recorder>::default();
    let sink = sink(cluster.bootstrap_servers(), &recorder);
    let send = |topic: &str, tags: Range<Tag>| {
        let mut gathered = Gathered::default();
        let count = (tags.end - tags.start) as usize;
        for tag in tags {
            let record = Record {
                key: Some((&b"k"[..]).into()),
                value: Some(value.as_slice().into()),
                timestamp_ms: 1_700_000_000_000 + tag as i64,
                choice: None,
            };
            gathered.add(tag, topic, &record, std::iter::empty(), Terms::default());
        }
        sink.send(&mut gathered);
        recorder.wait(count, &sink)
    };
    for round in 0..20 {
        let topic = format!("burst-{round}");
        cluster.create_topic(&topic, 1, 1).expect("a topic");
        send(&topic, 0..1);
        cluster.request_errors(Request::Produce, &[Code::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
        let mut delivered = send(&topic, 1..1 + BURST).delivered;
        delivered.sort_unstable_by_key(|told| told.tag);
        assert!(delivered.iter().is_sorted_by_key(|told| told.offset), "in {topic}");
    }
}

#[test]
fn producers_that_are_of_no_use_are_replaced_until_one_works() {
    let cluster = MockCluster::new(1).expect("simulated brokers");
    for topic in TOPICS {
        cluster.create_topic(topic, 1, 1).expect("a topic");
    }
    let refused = [Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED; 2];
    cluster.request_errors(Request::InitProducerId, &refused);
    let recorder = Arc::<Recorder>::default();
    let sink = sink(cluster.bootstrap_servers(), &recorder);
    let sent = send(&sink, 0, 20, &mut Dice(1));
    let seen = recorder.wait(sent.len(), &sink);
    assert_eq!(seen.rejected, []);
    for topic in TOPICS {
        let told = seen.delivered.iter().filter(|told| told.topic == topic);
        let tags: Vec<Tag> = told.map(|told| told.tag).collect();
        let expected = (0..RECORDS).filter(|tag| sent[tag].0 == topic).collect::<Vec<Tag>>();
        assert_eq!(tags, expected, "{topic}");
    }
}

/// What brokers' threads tell, without gates.
struct Told(Arc<Recorder>);

impl Handler for Told {
    fn confirmed<'r>(&self, ticket: u64, record: &dyn Fn() -> Written<'r>) {
        self.0.delivered(ticket, record);
    }

    fn refused(&self, ticket: u64, failure: Failure) {
        panic!("nothing refuses {ticket}: {:?}", failure.code);
    }
}

#[test]
fn a_record_that_kafka_must_have_since_it_has_a_later_one_is_told_whole() {
    const ROUNDS: u64 = 100;
    const OF_A_ROUND: u64 = 4;
    let cluster = MockCluster::new(1).expect("simulated brokers");
    cluster.create_topic("a", 1, 1).expect("a topic");
    let recorder = Arc::<Recorder>::default();
    // Two records are too large for a batch.
    let properties = [("retry.backoff.ms", "10"), ("message.max.bytes", "1000")];
    let settings = settings(cluster.bootstrap_servers(), &properties);
    let health = Arc::new(Health::new(&settings.brokers));
    let watch = Arc::new(Watch(Box::new(Told(Arc::clone(&recorder)))));
    let producer = context::create(&settings, &health, watch).expect("good settings");
    let topic = producer.topic("a").expect("a topic");
    let mut partitions = Partitions::default();
    let value = |tag: Tag| format!("{tag:016}").repeat(40).into_bytes();
    let mut send = |tags: Range<Tag>, place: Option<usize>| {
        for tag in tags {
            let (name, value) = ("from".into(), value(tag));
            let header = Header { name, value: Some(value[..16].into()) };
            let mut parts = Parts {
                key: Some(b"k"),
                value: Some(&value),
                timestamp_ms: 1_700_000_000_000 + tag as i64,
                partition: None,
                headers: Headers::of(std::iter::once(header)),
            };
            let produced = producer.produce(&topic, (&mut partitions, place), tag, &mut parts);
            assert_eq!(produced, Ok(()));
        }
    };
    let wait = |records| recorder.wait_or(records, String::new).delivered;
    send(0..1, None);
    let mut delivered = wait(1);
    for round in 0..ROUNDS {
        // The first batch gets no answer that says so, and others are on their way behind it.
        cluster.request_errors(Request::Produce, &[Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT]);
        send(1 + round * OF_A_ROUND..1 + (round + 1) * OF_A_ROUND, Some(0));
        delivered.extend(wait(OF_A_ROUND as usize));
    }
    delivered.sort_unstable_by_key(|told| told.tag);
    let implied = delivered.iter().filter(|told| told.offset.is_none()).count() as u64;
    assert!(implied > ROUNDS / 2, "{implied} were told for a later one");
    for (tag, told) in (0..).zip(&delivered) {
        let expected = Delivered {
            tag,
            topic: "a".to_owned(),
            partition: 0,
            offset: told.offset,
            key: Some(b"k".to_vec()),
            value: Some(value(tag)),
            timestamp_ms: Some(told_time(tag, told.offset)),
            headers: vec![("from".to_owned(), Some(value(tag)[..16].to_vec()))],
        };
        assert_eq!(*told, expected);
    }
    assert_eq!(delivered.len() as u64, 1 + ROUNDS * OF_A_ROUND);
}
