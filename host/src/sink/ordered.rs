//! What keeps records in order while Kafka refuses some of them.
//!
//! Each topic has a gate. While it is open, records go straight to librdkafka. What fails closes it,
//! and what comes meanwhile waits behind what failed, in the order in which it was sent. Once nothing
//! of the topic is under way, the first records that wait are sent again: all of them if only some
//! others were rejected, one if there is trouble, half of them if one of a batch is bad and brokers do
//! not say which. The gate opens when nothing waits any more.
//!
//! When a broker refuses records, what librdkafka has not sent is taken back, of all topics, since it
//! knows no smaller measure. So all gates are closed until nothing is under way, a round trip or so.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaRespErr as Code;

use super::error::{Meaning, meaning};
use super::native::{self, NotProduced, Partitions, Parts, Producer, Report, Reports, Watch};
use super::{Rejected, Tag};
use crate::backoff::Backoff;
use crate::message::Reason;

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How soon to look again whether librdkafka's queue has room. The credit of sources is below its
/// limits, so only records that plugins made much larger than their messages fill it.
const QUEUE_FULL: Duration = Duration::from_millis(10);

/// Records of a topic that librdkafka gets while others are under way. An idempotent producer sends a
/// partition's next batch only while fewer than five *records* are; for as long as it has more of
/// them, it looks at the clock in a busy loop. So they wait here, and leave as one batch.
const AT_ONCE: usize = 5;

/// Names that messages have made up and Kafka does not have; librdkafka forgets none of them, so that
/// a producer is replaced after so many.
const MADE_UP: usize = 1_000;

/// No batch is made smaller than this for being too large, in bytes.
const SMALLEST_BATCH: usize = 1_024;

/// A record's place in the order of everything sent.
type Order = u64;

/// What is known of a record until Kafka has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub tag: Tag,
    /// A report of a failure does not tell it.
    pub timestamp_ms: i64,
    pub topic: usize,
    /// If a plugin has chosen it.
    pub partition: Option<i32>,
    pub terms: Terms,
}

/// Whose fault it may be if a record is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// The message has named the topic, by way of its route's or of a plugin.
    pub topic_is_made_up: bool,
    /// It cannot be rejected: there is nothing left to be made of it.
    pub must_arrive: bool,
    /// Others follow at once, and a [release](super::Sink::release): they are to leave together.
    pub is_gathered: bool,
}

/// A record that waits at a gate.
struct Waiting {
    slot: Slot,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Option<native::Headers>,
    /// Kafka's client does not know its partition, and brokers are to be asked.
    is_doubted: bool,
}

impl Waiting {
    fn of(report: Report<'_>, slot: Slot) -> Self {
        let (key, value) = (report.key().map(<[u8]>::to_vec), report.value().map(<[u8]>::to_vec));
        Self { slot, key, value, headers: report.take_headers(), is_doubted: false }
    }
}

struct Topic {
    name: String,
    handle: Option<native::Topic>,
    partitions: Partitions,
    /// Records under way.
    outstanding: usize,
    is_closed: bool,
    waiting: BTreeMap<Order, Waiting>,
    /// How many records to send at a time while it is closed.
    group: usize,
    /// Records of the last batch that was refused without a word on which of them are bad.
    suspects: usize,
    /// Why nothing can be written to it.
    trouble: Option<String>,
    /// Nothing is sent before.
    retry_at: Option<Instant>,
    /// Brokers are to be asked for it first, since librdkafka refuses by itself what it last knew to
    /// be missing.
    is_to_be_asked_for: bool,
    backoff: Backoff,
}

impl Topic {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            handle: None,
            partitions: Partitions::default(),
            outstanding: 0,
            is_closed: false,
            waiting: BTreeMap::new(),
            group: usize::MAX,
            suspects: 0,
            trouble: None,
            retry_at: None,
            is_to_be_asked_for: false,
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
        }
    }

    /// Whether something of it may be sent now.
    fn is_due(&self, now: Instant) -> bool {
        self.is_closed && self.outstanding == 0 && self.retry_at.is_none_or(|at| at <= now)
    }

    fn is_doubted(&self) -> bool {
        self.waiting.values().any(|waiting| waiting.is_doubted)
    }
}

/// Why the producer is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Idempotence has lost its place.
    OutOfUse(String),
    /// A batch was too large for its topic.
    SmallerBatches(usize),
    /// To forget names that messages have made up.
    Names,
}

/// What has come of reports.
#[derive(Default)]
pub(super) struct Outcome {
    /// The report's index among those that came together.
    pub delivered: Vec<(usize, Tag)>,
    pub rejected: Vec<(Tag, Rejected)>,
    /// Topics to which nothing can be written, for the log: which, why, and the pause.
    pub troubles: Vec<(String, Duration)>,
}

impl Outcome {
    fn is_empty(&self) -> bool {
        self.delivered.is_empty() && self.rejected.is_empty() && self.troubles.is_empty()
    }
}

/// See the [module's documentation](self). Whoever holds it keeps all others from sending.
pub(super) struct Gates {
    topics: Vec<Topic>,
    /// Those whose gates are closed; there may be many others.
    closed: BTreeSet<usize>,
    /// Places among the topics that are not in use.
    free: Vec<usize>,
    names: HashMap<String, usize>,
    /// The topic of the last record, which is often the next one's.
    last: Option<usize>,
    /// What is known of the records that Kafka does not have, from the first of them on.
    slots: VecDeque<Option<Slot>>,
    first: Order,
    outstanding: usize,
    /// A broker has refused records, and something that was under way then still is.
    is_draining: bool,
    renewal: Option<Renewal>,
    made_up: usize,
    left: Outcome,
    /// After the topics, whose handles it must outlive.
    producer: Arc<Producer>,
    watch: Arc<Watch>,
}

impl Gates {
    pub fn new(producer: Arc<Producer>, watch: Arc<Watch>) -> Self {
        Self {
            topics: Vec::new(),
            closed: BTreeSet::new(),
            free: Vec::new(),
            names: HashMap::new(),
            last: None,
            slots: VecDeque::new(),
            first: 0,
            outstanding: 0,
            is_draining: false,
            renewal: None,
            made_up: 0,
            left: Outcome::default(),
            producer,
            watch,
        }
    }

    pub fn producer(&self) -> &Arc<Producer> {
        &self.producer
    }

    /// Records that wait at gates.
    pub fn waiting(&self) -> usize {
        self.closed.iter().map(|index| self.topics[*index].waiting.len()).sum()
    }

    /// Sends a record, or lets it wait behind others of its topic. Whether somebody has to
    /// [attend](Self::attend) to it.
    pub fn send(
        &mut self,
        topic: &str,
        (tag, partition, terms): (Tag, Option<i32>, Terms),
        mut parts: Parts<'_>,
    ) -> Result<bool, Rejected> {
        let index = self.topic(topic);
        let slot = Slot { tag, timestamp_ms: parts.timestamp_ms, topic: index, partition, terms };
        let order = self.first + self.slots.len() as Order;
        self.slots.push_back(Some(slot));
        let Topic { is_closed, partitions, outstanding, .. } = &self.topics[index];
        let at_once = if partitions.are_unknown() { 1 } else { AT_ONCE };
        let waits = *is_closed || *outstanding >= at_once || terms.is_gathered;
        let refused = if waits || self.is_halted() {
            NotProduced::NotYet
        } else {
            match self.produce(index, order, &mut parts) {
                Ok(()) => return Ok(false),
                Err(refused) => refused,
            }
        };
        let (key, value) = (parts.key.map(<[u8]>::to_vec), parts.value.map(<[u8]>::to_vec));
        let waiting =
            Waiting { slot, key, value, headers: parts.headers.take(), is_doubted: false };
        match self.held(order, waiting, refused) {
            None => Ok(self.topics[index].outstanding == 0 && !terms.is_gathered),
            Some(rejected) => Err(rejected),
        }
    }

    /// Whether every record goes straight to librdkafka, so that there is nothing to attend to.
    pub fn are_open(&self) -> bool {
        self.closed.is_empty() && !self.is_halted() && self.left.is_empty()
    }

    /// Whether nothing may be sent to any topic.
    fn is_halted(&self) -> bool {
        self.is_draining || self.renewal.is_some()
    }

    fn close(&mut self, index: usize) -> &mut Topic {
        let topic = &mut self.topics[index];
        if !topic.is_closed {
            topic.is_closed = true;
            self.closed.insert(index);
        }
        topic
    }

    fn topic(&mut self, name: &str) -> usize {
        if let Some(last) = self.last.filter(|last| self.topics[*last].name == name) {
            return last;
        }
        let index = if let Some(&index) = self.names.get(name) {
            index
        } else {
            let index = self.free.pop().unwrap_or(self.topics.len());
            if index == self.topics.len() {
                self.topics.push(Topic::new(name));
            } else {
                self.topics[index] = Topic::new(name);
            }
            self.names.insert(name.to_owned(), index);
            index
        };
        self.last = Some(index);
        index
    }

    fn produce(
        &mut self,
        index: usize,
        order: Order,
        parts: &mut Parts<'_>,
    ) -> Result<(), NotProduced> {
        let topic = &mut self.topics[index];
        if topic.outstanding == 0 {
            topic.partitions.rest();
        }
        if topic.handle.is_none() {
            let handle = self.producer.topic(&topic.name);
            topic.handle = handle.ok();
        }
        // librdkafka gives no handle only for a name that no topic can have.
        let Some(handle) = &topic.handle else {
            return Err(NotProduced::Refused(Code::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION));
        };
        self.producer.produce(handle, &mut topic.partitions, order, parts)?;
        topic.outstanding += 1;
        self.outstanding += 1;
        Ok(())
    }

    /// Keeps a record that was not produced, or says why it never will be.
    fn held(&mut self, order: Order, waiting: Waiting, refused: NotProduced) -> Option<Rejected> {
        match refused {
            NotProduced::NotYet => {
                self.close(waiting.slot.topic).waiting.insert(order, waiting);
                None
            }
            NotProduced::Refused(code) => self.failed(order, waiting, code, true),
        }
    }

    /// Keeps a record that Kafka does not have, or says why it never will. `is_guilty`: the error is about
    /// this record, and not about another one of its batch.
    fn failed(
        &mut self,
        order: Order,
        mut waiting: Waiting,
        code: Code,
        is_guilty: bool,
    ) -> Option<Rejected> {
        let Slot { topic: index, terms, partition, .. } = waiting.slot;
        self.close(index);
        let topic = &mut self.topics[index];
        let name = &topic.name;
        let cannot = |what: &str| format!("cannot write to Kafka topic {name:?}: {what}");
        let mut trouble = None;
        match meaning(code) {
            Meaning::Rejected(reason, error) if is_guilty && !terms.must_arrive => {
                self.forget(order);
                return Some(Rejected { reason, error });
            }
            Meaning::Rejected(_, error) if is_guilty => trouble = Some(cannot(&error)),
            // It is alone in its batch, or fits, once batches are small enough.
            Meaning::Purged | Meaning::Rejected(Reason::TooLarge, _) => {}
            Meaning::Rejected(..) => topic.suspects += 1,
            Meaning::NoTopic(what) if terms.topic_is_made_up => {
                let error = cannot(&what);
                self.made_up += 1;
                self.forget(order);
                return Some(Rejected { reason: Reason::BadTopic, error });
            }
            Meaning::NoPartition if partition.is_some() => waiting.is_doubted = true,
            Meaning::NoPartition => {
                trouble = Some(cannot("the topic does not have that partition"));
            }
            Meaning::Retryable(_) if code == Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => {
                topic.retry_at = Some(Instant::now() + QUEUE_FULL);
            }
            Meaning::NoTopic(what) | Meaning::Retryable(what) => trouble = Some(cannot(&what)),
            Meaning::OutOfUse(_) => {
                let fatal = self.producer.client().fatal_error();
                if let Some((code, reason)) = fatal {
                    self.renewal = Some(Renewal::OutOfUse(format!("{code}: {reason}")));
                } else {
                    topic.retry_at = Some(Instant::now() + PAUSES.0);
                }
            }
        }
        topic.is_to_be_asked_for |= trouble.is_some();
        topic.trouble = topic.trouble.take().or(trouble);
        topic.waiting.insert(order, waiting);
        None
    }

    /// A broker has refused records: whatever is under way may come back, and nothing may overtake it.
    pub fn drain(&mut self) {
        if self.outstanding > 0 {
            self.is_draining = true;
            self.watch.is_draining.store(true, Ordering::Release);
            self.producer.purge_queued();
        }
    }

    /// Takes in the reports of a batch.
    pub fn report(&mut self, reports: &Reports, outcome: &mut Outcome) {
        let is_innocent = |report: Report<'_>| {
            report.error() == Some(Code::RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD)
        };
        let is_guilty = reports.len() == 1 || reports.iter().any(is_innocent);
        let mut topic = None;
        for (at, report) in reports.iter().enumerate() {
            let order = report.ticket();
            let Some(slot) = self.slot(order) else { continue };
            topic = Some(slot.topic);
            self.outstanding -= 1;
            self.topics[slot.topic].outstanding -= 1;
            match report.error() {
                None => {
                    self.topics[slot.topic].partitions.prove(report.partition());
                    self.forget(order);
                    outcome.delivered.push((at, slot.tag));
                }
                Some(code) => {
                    let waiting = Waiting::of(report, slot);
                    if let Some(rejected) = self.failed(order, waiting, code, is_guilty) {
                        outcome.rejected.push((slot.tag, rejected));
                    }
                }
            }
        }
        let Some(topic) = topic else { return };
        let first = reports.get(0).error().map(meaning);
        if !is_guilty && matches!(first, Some(Meaning::Rejected(Reason::TooLarge, _))) {
            let size = |report: Report<'_>| {
                report.key().map_or(0, <[u8]>::len) + report.value().map_or(0, <[u8]>::len)
            };
            let half = reports.iter().map(size).sum::<usize>() / 2;
            if half < SMALLEST_BATCH {
                self.topics[topic].suspects = reports.len();
            } else {
                self.renewal = Some(Renewal::SmallerBatches(half));
            }
        }
        if self.topics[topic].outstanding == 0 {
            self.step(topic, Instant::now(), outcome);
        }
    }

    /// Whether records were refused, and nothing is under way any more. What librdkafka has been asked
    /// to take back must be done with before anything is [sent again](Self::resume).
    pub fn is_drained(&self) -> bool {
        self.is_draining && self.outstanding == 0
    }

    /// Goes on after a refusal.
    pub fn resume(&mut self, outcome: &mut Outcome) {
        self.is_draining = false;
        self.watch.is_draining.store(false, Ordering::Release);
        self.attend(Instant::now(), outcome);
    }

    fn slot(&self, order: Order) -> Option<Slot> {
        let index = order.checked_sub(self.first)?;
        self.slots.get(index as usize).copied().flatten()
    }

    /// Nothing more needs to be known of a record.
    fn forget(&mut self, order: Order) {
        let Some(index) = order.checked_sub(self.first) else { return };
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = None;
        }
        while self.slots.front().is_some_and(Option::is_none) {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// Sends again what waits for a topic of which nothing is under way.
    fn step(&mut self, index: usize, now: Instant, outcome: &mut Outcome) {
        if self.made_up > MADE_UP {
            self.renewal.get_or_insert(Renewal::Names);
        }
        let is_halted = self.is_halted();
        let topic = &mut self.topics[index];
        if is_halted || !topic.is_closed {
            return;
        }
        if let Some(trouble) = topic.trouble.take() {
            let pause = topic.backoff.next_pause();
            topic.retry_at = Some(now + pause);
            (topic.group, topic.suspects) = (0, 0);
            outcome.troubles.push((trouble, pause));
            return;
        }
        if !topic.is_due(now) || topic.is_to_be_asked_for || topic.is_doubted() {
            return;
        }
        topic.retry_at = None;
        match std::mem::take(&mut topic.suspects) {
            0 => topic.group = topic.group.saturating_mul(2).max(1),
            suspects => topic.group = (suspects / 2).max(1),
        }
        let group = topic.group;
        let mut sent = 0;
        while sent < group
            && let Some((order, mut waiting)) = self.topics[index].waiting.pop_first()
        {
            let mut parts = Parts {
                key: waiting.key.as_deref(),
                value: waiting.value.as_deref(),
                timestamp_ms: waiting.slot.timestamp_ms,
                partition: waiting.slot.partition,
                headers: waiting.headers.take(),
            };
            let produced = self.produce(index, order, &mut parts);
            waiting.headers = parts.headers.take();
            let tag = waiting.slot.tag;
            match produced.err().map(|refused| (refused, self.held(order, waiting, refused))) {
                None => sent += 1,
                Some((_, Some(rejected))) => outcome.rejected.push((tag, rejected)),
                Some((_, None)) => break,
            }
        }
        let topic = &mut self.topics[index];
        if topic.waiting.is_empty() {
            topic.is_closed = false;
            self.closed.remove(&index);
            topic.group = usize::MAX;
            topic.backoff.reset();
        } else if topic.outstanding == 0 && topic.trouble.is_some() {
            self.step(index, now, outcome);
        }
    }

    /// Sends what was gathered, and is not behind something that is under way. Whether something came of
    /// it that is to be [told](Self::take_left).
    pub fn release(&mut self) -> bool {
        let mut outcome = std::mem::take(&mut self.left);
        self.attend(Instant::now(), &mut outcome);
        self.left = outcome;
        !self.left.is_empty()
    }

    /// What has come of releases.
    pub fn take_left(&mut self) -> Outcome {
        std::mem::take(&mut self.left)
    }

    /// Sends again what is due.
    pub fn attend(&mut self, now: Instant, outcome: &mut Outcome) {
        for index in self.closed.clone() {
            if self.topics[index].outstanding == 0 {
                self.step(index, now, outcome);
            }
        }
    }

    /// When there is something to [attend](Self::attend) to.
    pub fn due(&self) -> Option<Instant> {
        let closed = self.closed.iter().map(|index| &self.topics[*index]);
        closed.filter(|topic| topic.outstanding == 0).filter_map(|topic| topic.retry_at).min()
    }

    /// A topic of which brokers are to be asked before anything of it is sent again.
    pub fn question(&self, now: Instant) -> Option<(usize, String)> {
        let asks = |topic: &Topic| topic.is_to_be_asked_for || topic.is_doubted();
        let mut closed = self.closed.iter().map(|index| (*index, &self.topics[*index]));
        let found = closed
            .find(|(_, topic)| topic.is_due(now) && topic.trouble.is_none() && asks(topic))?;
        Some((found.0, found.1.name.clone()))
    }

    /// What brokers say of a topic: how many partitions it has.
    pub fn answer(&mut self, index: usize, answer: Result<usize, Code>, outcome: &mut Outcome) {
        let topic = &mut self.topics[index];
        topic.is_to_be_asked_for = false;
        let doubted: Vec<_> = topic
            .waiting
            .iter_mut()
            .filter_map(|(order, waiting)| {
                std::mem::take(&mut waiting.is_doubted).then_some((*order, waiting.slot))
            })
            .collect();
        let name = topic.name.clone();
        for (order, slot) in doubted {
            let chosen = slot.partition.unwrap_or_default();
            let has =
                answer.map(|count| usize::try_from(chosen).is_ok_and(|chosen| chosen < count));
            let rejected = match (has, answer.map_err(meaning)) {
                (Ok(false), Ok(1..)) => Rejected {
                    reason: Reason::BadOutput,
                    error: format!(
                        "a plugin has chosen partition {chosen} of Kafka topic {name:?}: the topic does \
                         not have that partition"
                    ),
                },
                (_, Err(Meaning::NoTopic(what))) if slot.terms.topic_is_made_up => Rejected {
                    reason: Reason::BadTopic,
                    error: format!("cannot write to Kafka topic {name:?}: {what}"),
                },
                (_, told) => {
                    let what = match told {
                        Ok(0) => "the topic has no partitions yet".to_owned(),
                        Ok(_) => "Kafka's client has not heard of the partition yet".to_owned(),
                        Err(Meaning::NoTopic(what) | Meaning::Retryable(what)) => what,
                        Err(_) => "brokers do not say what has become of it".to_owned(),
                    };
                    let trouble = format!("cannot write to Kafka topic {name:?}: {what}");
                    self.topics[index].trouble.get_or_insert(trouble);
                    continue;
                }
            };
            self.topics[index].waiting.remove(&order);
            self.forget(order);
            outcome.rejected.push((slot.tag, rejected));
        }
        self.step(index, Instant::now(), outcome);
    }

    /// Why the producer is to be replaced, once nothing is under way.
    pub fn renewal(&mut self) -> Option<Renewal> {
        if self.outstanding == 0 { self.renewal.take() } else { None }
    }

    /// Another producer could not be made.
    pub fn renew_later(&mut self, renewal: Renewal) {
        self.renewal = Some(renewal);
    }

    /// Goes on with another producer. Nothing is under way.
    pub fn renew(&mut self, producer: Arc<Producer>, watch: Arc<Watch>, outcome: &mut Outcome) {
        for (index, topic) in self.topics.iter_mut().enumerate() {
            (topic.handle, topic.partitions) = (None, Partitions::default());
            if topic.waiting.is_empty() && self.names.remove(&topic.name).is_some() {
                *topic = Topic::new("");
                self.closed.remove(&index);
                self.free.push(index);
            }
        }
        self.last = None;
        self.made_up = 0;
        (self.producer, self.watch) = (producer, watch);
        self.attend(Instant::now(), outcome);
    }
}
