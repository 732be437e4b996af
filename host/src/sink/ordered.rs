//! The heart of the sink: what keeps records in order while Kafka refuses some of them.
//!
//! Each partition of a topic has a gate. A record goes to librdkafka while none of its partition is under way;
//! what comes meanwhile waits at the gate. When Kafka has what was under way, the thread of that broker sends
//! what waits, and since that thread is busy with it meanwhile, it leaves as one request. Any other thread sends
//! a single record, whose answer then takes the rest along: of several, the first might be on its way in a request of
//! its own before the last is handed over. So there is never more than one request of a partition under way, and
//! nothing of it behind that: what is refused disturbs nothing else.
//!
//! What fails goes back to its place among those that wait, and is sent again: all of it if only some others were
//! rejected, one record if there is trouble, half of them if one of a batch is bad and brokers do not say which.
//!
//! A topic of which librdkafka knows nothing yet has one gate, where all of its records wait until the first of
//! them is in Kafka. Then they are sorted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr as Code;

use super::error::{Meaning, NO_IDEMPOTENCE, meaning};
use super::gathered::Gathered;
use super::native::{self, Failure, NotProduced, Partitions, Producer, Reports};
use super::queue::{Order, Queue};
use super::{Rejected, Tag};
use crate::backoff::Backoff;
use crate::message::Reason;
use crate::numbered::Numbered;

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How soon to look again whether librdkafka's queue has room. The credit of sources is below its
/// limits, so only records that plugins made much larger than their messages fill it.
const QUEUE_FULL: Duration = Duration::from_millis(10);

/// How often to take back again what librdkafka would retry, while another producer waits for the end of
/// this one. It retries nothing sooner.
const TAKE_BACK: Duration = Duration::from_millis(50);

/// What a record takes in a request beside its parts, and what a request takes beside its records, in bytes,
/// generously: librdkafka must have room for what it is given.
const OVERHEAD: usize = 100;
const HEAD: usize = 600;

/// Records that are sent before others get their turn with the gates.
const TURN: usize = 64;

/// Names that messages have made up and Kafka does not have; librdkafka forgets none of them, so that
/// a producer is replaced after so many.
const MADE_UP: usize = 1_000;

/// No batch is made smaller than this for being too large, in bytes.
const SMALLEST_BATCH: usize = 1_024;

/// A partition of a topic, or what of a topic has no partition yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    topic: usize,
    partition: Option<usize>,
}

/// What is known of a record until Kafka has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    tag: Tag,
    /// A report of a failure does not tell it.
    timestamp_ms: i64,
    place: Place,
    /// The partition, if a plugin has chosen it.
    chosen: Option<i32>,
    terms: Terms,
}

/// Whose fault it may be if a record is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// The message has named the topic, by way of its route's or of a plugin.
    pub topic_is_made_up: bool,
    /// It cannot be rejected: there is nothing left to be made of it.
    pub must_arrive: bool,
}

type Waiting = super::queue::Waiting<Slot>;

struct Topic {
    name: String,
    handle: Option<native::Topic>,
    partitions: Partitions,
    /// The gate of what has no partition yet: nobody knows the topic, or not the partition that was chosen.
    unplaced: Gate,
    /// By partition.
    gates: Vec<Gate>,
    /// Records under way.
    outstanding: usize,
    /// A larger batch was too large for it, in bytes.
    largest_batch: usize,
    /// A message has made its name up, and Kafka does not have it.
    is_made_up: bool,
}

impl Topic {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            handle: None,
            partitions: Partitions::default(),
            unplaced: Gate::default(),
            gates: Vec::new(),
            outstanding: 0,
            largest_batch: usize::MAX,
            is_made_up: false,
        }
    }

    /// For another producer, which knows nothing of it. Gives what waits for it. Its gates stay, since a thread
    /// that was told to send to one of them may be on its way.
    fn reset(&mut self) -> Queue<Slot> {
        (self.handle, self.partitions) = (None, Partitions::default());
        self.gates.iter_mut().for_each(|gate| *gate = Gate::default());
        self.is_made_up = false;
        std::mem::take(&mut self.unplaced).waiting
    }

    fn gate(&self, partition: Option<usize>) -> &Gate {
        partition.map_or(&self.unplaced, |partition| &self.gates[partition])
    }

    fn gate_mut(&mut self, partition: Option<usize>) -> &mut Gate {
        partition.map_or(&mut self.unplaced, |partition| &mut self.gates[partition])
    }
}

struct Gate {
    /// Records under way.
    outstanding: usize,
    is_closed: bool,
    waiting: Queue<Slot>,
    /// Records that Kafka does not have, and on which nothing is decided before nothing is under way.
    failures: Vec<(Order, Failure)>,
    /// The partition of the last record that Kafka has, if a plugin has chosen it and nobody had heard of it.
    chosen: Option<i32>,
    /// How many records to send at a time while it is closed.
    group: usize,
    /// How many of those that wait may be sent now.
    allowed: usize,
    /// How many have been since nothing was under way, and their bytes.
    sent: (usize, usize),
    /// Records of the last batch that was refused without a word on which of them are bad.
    suspects: usize,
    /// Records of the last batch that was refused for others, which brokers have named: they are sent again by
    /// themselves, so that none is sent again and again for what comes later.
    innocent: usize,
    /// Why nothing can be written to it.
    trouble: Option<String>,
    /// Nothing is sent before.
    retry_at: Option<Instant>,
    /// Brokers are to be asked for the topic first, since librdkafka refuses by itself what it last knew to
    /// be missing.
    is_to_be_asked_for: bool,
    backoff: Backoff,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            outstanding: 0,
            is_closed: false,
            waiting: Queue::default(),
            failures: Vec::new(),
            chosen: None,
            group: usize::MAX,
            allowed: 0,
            sent: (0, 0),
            suspects: 0,
            innocent: 0,
            trouble: None,
            retry_at: None,
            is_to_be_asked_for: false,
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
        }
    }
}

impl Gate {
    /// Whether something waits, and nothing is under way.
    fn is_next(&self) -> bool {
        self.is_closed && self.outstanding == 0
    }

    /// Whether something of it may be sent now.
    fn is_due(&self, now: Instant) -> bool {
        self.is_next() && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Whether brokers are to be asked before anything is sent.
    fn is_questionable(&self) -> bool {
        self.is_to_be_asked_for || self.waiting.is_doubted()
    }

    /// Whether more is to be done than to send again what waits.
    fn is_in_trouble(&self) -> bool {
        self.trouble.is_some() || self.retry_at.is_some() || self.is_questionable()
    }

    /// Nothing is under way, and up to so many of those that wait may be sent.
    fn allow(&mut self, limit: usize) {
        match std::mem::take(&mut self.suspects) {
            0 if self.sent.0 >= self.group => self.group = self.group.saturating_mul(2).max(1),
            0 => {}
            suspects => self.group = (suspects / 2).max(1),
        }
        let group = if self.innocent > 0 { self.innocent.min(self.group) } else { self.group };
        self.allowed = group.min(limit);
        self.innocent = self.innocent.saturating_sub(self.allowed);
        self.sent = (0, 0);
    }

    /// Whether a record of this size still fits into the batch.
    fn has_room(&self, size: usize, most: usize, largest: usize) -> bool {
        let (records, bytes) = self.sent;
        records == 0 || records < most && HEAD + bytes + size + OVERHEAD <= largest
    }
}

/// Why the producer is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Idempotence has lost its place.
    OutOfUse(String),
    /// To forget names that messages have made up.
    Names,
}

/// What has come of failures.
#[derive(Default)]
pub(super) struct Outcome {
    pub rejected: Vec<(Tag, Rejected)>,
    /// To what nothing can be written, for the log: which, why, and the pause.
    pub troubles: Vec<(String, Duration)>,
}

impl Outcome {
    fn is_empty(&self) -> bool {
        self.rejected.is_empty() && self.troubles.is_empty()
    }
}

/// What is to be done once Kafka has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// What waits for this partition may be [sent](Gates::begin).
    Send(Place),
    /// More than that: whoever reads reports is to [attend](Gates::attend) to it.
    Attend,
}

/// See the [module's documentation](self). Whoever holds it keeps all others from sending.
pub(super) struct Gates {
    topics: Vec<Topic>,
    /// Those that are closed; there may be many others.
    closed: BTreeSet<Place>,
    /// Indices of topics that are not in use.
    free: Vec<usize>,
    names: HashMap<String, usize>,
    /// The topic of the last record, which is often the next one's.
    last: Option<usize>,
    /// What is known of the records that Kafka does not have.
    slots: Numbered<Slot>,
    outstanding: usize,
    renewal: Option<Renewal>,
    /// Before that, nothing is taken back again.
    take_back_at: Instant,
    /// Between producers, for as long as none of them works.
    renewals: Backoff,
    /// How many names the producer at hand has been given that messages have made up.
    made_up: usize,
    /// What came of it that somebody sent what waits, and is still to be told.
    left: Outcome,
    /// Something may stand still that nobody has looked at.
    is_to_attend: bool,
    /// Kept for its memory.
    touched: Vec<Place>,
    /// After the topics, whose handles it must outlive.
    producer: Arc<Producer>,
}

impl Gates {
    pub fn new(producer: Arc<Producer>) -> Self {
        Self {
            topics: Vec::new(),
            closed: BTreeSet::new(),
            free: Vec::new(),
            names: HashMap::new(),
            last: None,
            slots: Numbered::default(),
            outstanding: 0,
            renewal: None,
            take_back_at: Instant::now(),
            renewals: Backoff::new(PAUSES.0, PAUSES.1),
            made_up: 0,
            left: Outcome::default(),
            is_to_attend: false,
            touched: Vec::new(),
            producer,
        }
    }

    pub fn producer(&self) -> &Arc<Producer> {
        &self.producer
    }

    fn gate(&self, place: Place) -> &Gate {
        self.topics[place.topic].gate(place.partition)
    }

    fn gate_mut(&mut self, place: Place) -> &mut Gate {
        self.topics[place.topic].gate_mut(place.partition)
    }

    /// Records that wait at gates.
    pub fn waiting(&self) -> usize {
        self.closed.iter().map(|place| self.gate(*place).waiting.len()).sum()
    }

    /// Sends records, behind others of their partitions. Whether something came of it that is to be
    /// [told](Self::take_left), or somebody has to [attend](Self::attend) to it.
    pub fn send(&mut self, gathered: &mut Gathered) -> bool {
        let mut touched = std::mem::take(&mut self.touched);
        let now = Instant::now();
        for (name, (tag, timestamp_ms, chosen, terms), kept) in gathered.take() {
            let topic = self.topic(name);
            let place = self.place(topic, kept.key(), chosen, now);
            let slot = Slot { tag, timestamp_ms, place, chosen, terms };
            let order = self.slots.push(Some(slot));
            let gate = self.close(place);
            gate.waiting.push(order, Waiting { slot, kept, is_doubted: false });
            if gate.outstanding == 0 && touched.last() != Some(&place) {
                touched.push(place);
            }
        }
        gathered.clear();
        let mut outcome = std::mem::take(&mut self.left);
        let mut stands = false;
        for place in touched.drain(..) {
            self.step(place, now, &mut outcome);
            stands |= self.stands(place);
        }
        (self.left, self.touched) = (outcome, touched);
        let is_to_attend = std::mem::take(&mut self.is_to_attend);
        stands || !self.left.is_empty() || self.renewal.is_some() || is_to_attend
    }

    /// Whether nothing waits at any gate, and there is nothing to attend to.
    pub fn are_open(&self) -> bool {
        self.closed.is_empty() && self.renewal.is_none() && self.left.is_empty()
    }

    fn close(&mut self, place: Place) -> &mut Gate {
        let gate = self.topics[place.topic].gate_mut(place.partition);
        if !gate.is_closed {
            gate.is_closed = true;
            self.closed.insert(place);
        }
        gate
    }

    /// Where a record belongs that has this key, or for which a plugin has chosen.
    fn place(
        &mut self,
        index: usize,
        key: Option<&[u8]>,
        chosen: Option<i32>,
        now: Instant,
    ) -> Place {
        let Topic { partitions, gates, .. } = &mut self.topics[index];
        let Producer { partitioner, batches, .. } = &*self.producer;
        let load = |at: usize| gates.get(at).map_or(0, |it| it.outstanding + it.waiting.len());
        let partition = partitions.place(partitioner, batches.stick_for, (key, chosen), now, load);
        if let Some(partition) = partition
            && gates.len() <= partition
        {
            gates.resize_with(partition + 1, Gate::default);
        }
        Place { topic: index, partition }
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
                name.clone_into(&mut self.topics[index].name);
            }
            self.names.insert(name.to_owned(), index);
            index
        };
        self.last = Some(index);
        index
    }

    fn produce(&mut self, order: Order, waiting: &mut Waiting) -> Result<(), NotProduced> {
        let Slot { place, timestamp_ms, chosen, .. } = waiting.slot;
        let size = waiting.kept.size();
        let Topic { name, handle, partitions, .. } = &mut self.topics[place.topic];
        if handle.is_none() {
            *handle = self.producer.topic(name).ok();
        }
        // librdkafka gives no handle only for a name that no topic can have.
        let Some(handle) = handle else {
            return Err(NotProduced::Refused(Code::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION));
        };
        let mut parts = waiting.kept.parts(timestamp_ms, chosen);
        let to = (partitions, place.partition);
        let produced = self.producer.produce(handle, to, order, &mut parts);
        waiting.kept.headers = parts.headers.take();
        produced?;
        let gate = self.gate_mut(place);
        gate.outstanding += 1;
        gate.sent = (gate.sent.0 + 1, gate.sent.1 + size + OVERHEAD);
        self.topics[place.topic].outstanding += 1;
        self.outstanding += 1;
        Ok(())
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
        let Slot { place, terms, chosen, .. } = waiting.slot;
        self.close(place);
        let topic = &mut self.topics[place.topic];
        let name = &topic.name;
        let cannot = |what: &str| format!("cannot write to Kafka topic {name:?}: {what}");
        let gate = match place.partition {
            Some(partition) => &mut topic.gates[partition],
            None => &mut topic.unplaced,
        };
        let mut trouble = None;
        match meaning(code) {
            Meaning::Rejected(reason, error) if is_guilty && !terms.must_arrive => {
                self.slots.remove(order);
                return Some(Rejected { reason, error });
            }
            Meaning::Rejected(_, error) if is_guilty => trouble = Some(cannot(&error)),
            // It is alone in its batch, or fits, once batches are small enough.
            Meaning::Purged | Meaning::Rejected(Reason::TooLarge, _) => {}
            Meaning::Rejected(..) => gate.suspects += 1,
            Meaning::NoTopic(what) if terms.topic_is_made_up => {
                let error = cannot(&what);
                self.made_up += usize::from(!std::mem::replace(&mut topic.is_made_up, true));
                self.slots.remove(order);
                return Some(Rejected { reason: Reason::BadTopic, error });
            }
            Meaning::NoPartition if chosen.is_some() => waiting.is_doubted = true,
            Meaning::NoPartition => {
                trouble = Some(cannot("the topic does not have that partition"));
            }
            Meaning::Retryable(_) if code == Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => {
                gate.retry_at = Some(Instant::now() + QUEUE_FULL);
            }
            Meaning::NoTopic(what) | Meaning::Retryable(what) => trouble = Some(cannot(&what)),
            Meaning::OutOfUse(what) => {
                if code == Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH {
                    // Epochs count refusals, and begin anew after 32,767 of them.
                    self.renewal = Some(Renewal::OutOfUse(what));
                } else {
                    gate.retry_at = Some(Instant::now() + PAUSES.0);
                }
            }
        }
        gate.is_to_be_asked_for |= trouble.is_some();
        gate.trouble = gate.trouble.take().or(trouble);
        gate.waiting.put_back(order, waiting);
        None
    }

    /// Whether the producer will not send anything any more; then it is to be replaced.
    fn is_out_of_use(&mut self) -> bool {
        let Some((code, reason)) = self.producer.client().fatal_error() else { return false };
        let cure = match code {
            RDKafkaErrorCode::ClusterAuthorizationFailed => NO_IDEMPOTENCE,
            _ => "",
        };
        self.renewal = Some(Renewal::OutOfUse(format!("{code}: {reason}{cure}")));
        true
    }

    /// Kafka has a record: whose it was, and what is to be done then.
    pub fn confirm(&mut self, order: Order) -> Option<(Tag, Then)> {
        let Slot { tag, place, chosen, .. } = self.slots.remove(order)?;
        self.renewals.reset();
        self.came_back(place);
        if place.partition.is_none() {
            self.gate_mut(place).chosen = chosen;
        }
        Some((tag, self.then(place)))
    }

    /// Kafka does not have a record: what is to be done then.
    pub fn fail(&mut self, order: Order, failure: Failure) -> Then {
        let Some(Slot { place, .. }) = self.slots.get(order).copied() else { return Then::Nothing };
        self.came_back(place);
        self.close(place).failures.push((order, failure));
        self.then(place)
    }

    fn came_back(&mut self, place: Place) {
        self.outstanding -= 1;
        self.topics[place.topic].outstanding -= 1;
        self.gate_mut(place).outstanding -= 1;
    }

    /// What is to be done after something is not under way any more.
    fn then(&self, place: Place) -> Then {
        let (topic, gate) = (&self.topics[place.topic], self.gate(place));
        if self.renewal.is_some() {
            Then::Attend
        } else if topic.partitions.are_changing() {
            if topic.outstanding > 0 { Then::Nothing } else { Then::Send(place) }
        } else if !gate.is_next() {
            Then::Nothing
        } else if gate.is_in_trouble() {
            Then::Attend
        } else {
            Then::Send(place)
        }
    }

    /// Takes in reports of records that have failed without an answer.
    pub fn report(&mut self, reports: &Reports, outcome: &mut Outcome) {
        for report in reports.iter() {
            let Some(failure) = report.failure() else { continue };
            if let Then::Send(place) = self.fail(report.ticket(), failure) {
                self.step(place, Instant::now(), outcome);
            }
        }
    }

    /// Decides on records that have failed, now that nothing of their partition is under way.
    fn judge(&mut self, place: Place, outcome: &mut Outcome) {
        let failures = std::mem::take(&mut self.gate_mut(place).failures);
        let Some((_, first)) = failures.first() else { return };
        let is_innocent = |(_, failure): &(Order, Failure)| {
            failure.code == Code::RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD
        };
        let is_another =
            |second: &Failure| second.code == first.code && second.words != first.words;
        let are_named = failures.iter().any(is_innocent)
            || failures.get(1).is_some_and(|(_, second)| is_another(second));
        let count = failures.len();
        let is_guilty = count == 1 || are_named;
        let is_too_large = matches!(meaning(first.code), Meaning::Rejected(Reason::TooLarge, _));
        let half = failures.iter().map(|(_, failure)| failure.kept.size()).sum::<usize>() / 2;
        // Whatever it says of a record then, it says of all.
        let is_out_of_use = self.is_out_of_use();
        let before = outcome.rejected.len();
        for (order, Failure { code, kept, .. }) in failures {
            let Some(slot) = self.slots.get(order).copied() else { continue };
            let waiting = Waiting { slot, kept, is_doubted: false };
            if is_out_of_use {
                self.gate_mut(place).waiting.put_back(order, waiting);
            } else if let Some(rejected) = self.failed(order, waiting, code, is_guilty) {
                outcome.rejected.push((slot.tag, rejected));
            }
        }
        if are_named {
            self.gate_mut(place).innocent = count - (outcome.rejected.len() - before);
        }
        if is_too_large && !is_guilty {
            if half < SMALLEST_BATCH {
                self.gate_mut(place).suspects = count;
                return;
            }
            let Topic { name, largest_batch, .. } = &mut self.topics[place.topic];
            *largest_batch = half.min(*largest_batch);
            tracing::info!(
                "Kafka topic {name:?} takes no batch that large; making them {half} bytes at most"
            );
        }
    }

    /// Whether what waits at a gate may be sent now, up to so many records: [`Self::go_on`] does. Only the thread
    /// of the partition's broker may send more than one.
    pub fn begin(
        &mut self,
        place: Place,
        limit: usize,
        now: Instant,
        outcome: &mut Outcome,
    ) -> bool {
        if self.made_up > MADE_UP {
            self.renewal.get_or_insert(Renewal::Names);
        }
        self.settle(place.topic, outcome);
        if self.topics[place.topic].partitions.are_changing() || !self.gate(place).is_next() {
            return false;
        }
        self.judge(place, outcome);
        if let Some(chosen) = self.gate_mut(place).chosen.take()
            && self.topics[place.topic].partitions.prove(chosen)
        {
            self.sort(BTreeSet::from([place]), now, outcome);
        }
        if self.renewal.is_some() || !self.gate(place).is_next() {
            return false;
        }
        let gate = self.gate_mut(place);
        if let Some(trouble) = gate.trouble.take() {
            let pause = gate.backoff.next_pause();
            gate.retry_at = Some(now + pause);
            (gate.group, gate.suspects) = (0, 0);
            outcome.troubles.push((trouble, pause));
            return false;
        }
        if gate.retry_at.is_some_and(|at| at > now) || gate.is_questionable() {
            return false;
        }
        gate.retry_at = None;
        gate.allow(if place.partition.is_none() { 1 } else { limit });
        true
    }

    /// Sends some of what waits at a gate. Whether more may be sent.
    pub fn go_on(&mut self, place: Place, outcome: &mut Outcome) -> bool {
        let batches = self.producer.batches;
        let largest = batches.bytes.min(self.topics[place.topic].largest_batch);
        for _ in 0..TURN {
            let is_halted = self.renewal.is_some();
            let gate = self.gate_mut(place);
            if is_halted || gate.allowed == 0 || gate.is_in_trouble() {
                gate.allowed = 0;
                break;
            }
            let Some((order, mut waiting)) = gate.waiting.pop() else { break };
            if !gate.has_room(waiting.kept.size(), batches.records, largest) {
                gate.waiting.put_back(order, waiting);
                gate.allowed = 0;
                break;
            }
            let tag = waiting.slot.tag;
            let rejected = match self.produce(order, &mut waiting) {
                Ok(()) => {
                    self.gate_mut(place).allowed -= 1;
                    continue;
                }
                Err(NotProduced::Elsewhere) => {
                    let gate = self.gate_mut(place);
                    gate.waiting.put_back(order, waiting);
                    gate.allowed = 0;
                    break;
                }
                Err(NotProduced::Refused(_)) if self.is_out_of_use() => {
                    self.gate_mut(place).waiting.put_back(order, waiting);
                    None
                }
                Err(NotProduced::Refused(code)) => self.failed(order, waiting, code, true),
            };
            let Some(rejected) = rejected else {
                self.gate_mut(place).allowed = 0;
                break;
            };
            outcome.rejected.push((tag, rejected));
        }
        if self.settle(place.topic, outcome) {
            return false;
        }
        let gate = self.gate_mut(place);
        if gate.waiting.is_empty() && gate.failures.is_empty() {
            gate.is_closed = false;
            (gate.group, gate.allowed) = (usize::MAX, 0);
            gate.backoff.reset();
            self.closed.remove(&place);
            return false;
        }
        gate.allowed > 0 && !gate.waiting.is_empty()
    }

    /// Places records anew by the partitions that a topic has by now, once nothing of it is under way.
    fn settle(&mut self, index: usize, outcome: &mut Outcome) -> bool {
        let topic = &mut self.topics[index];
        if !topic.partitions.are_changing() || topic.outstanding > 0 {
            return false;
        }
        topic.partitions.change();
        let closed = self.closed.iter().copied().filter(|place| place.topic == index).collect();
        self.sort(closed, Instant::now(), outcome);
        true
    }

    /// Gives what waits at gates of a topic to the gates where it belongs. Nothing of theirs is under way.
    fn sort(&mut self, mut places: BTreeSet<Place>, now: Instant, outcome: &mut Outcome) {
        let mut waiting = Vec::new();
        for place in &places {
            self.judge(*place, outcome);
            waiting.extend(self.gate_mut(*place).waiting.take());
        }
        for (order, mut waiting) in waiting {
            let Slot { place, chosen, .. } = waiting.slot;
            let place = self.place(place.topic, waiting.kept.key(), chosen, now);
            self.put_to(place, order, &mut waiting.slot);
            self.close(place).waiting.put_back(order, waiting);
            places.insert(place);
        }
        for place in places {
            self.step(place, now, outcome);
        }
        self.is_to_attend = true;
    }

    fn put_to(&mut self, place: Place, order: Order, slot: &mut Slot) {
        slot.place = place;
        if let Some(known) = self.slots.get_mut(order) {
            known.place = place;
        }
    }

    /// Sends one record of what waits at a gate, if nothing is under way.
    fn step(&mut self, place: Place, now: Instant, outcome: &mut Outcome) {
        // What librdkafka refuses by itself is in trouble at once, and begins with a pause.
        while self.begin(place, 1, now, outcome) {
            while self.go_on(place, outcome) {}
            if self.gate(place).trouble.is_none() {
                return;
            }
        }
    }

    /// What is to be told.
    pub fn take_left(&mut self) -> Outcome {
        std::mem::take(&mut self.left)
    }

    /// Leaves what came of sending what waited at a gate to be told by others. Whether there is something, or
    /// they have to [attend](Self::attend) to it.
    pub fn leave(&mut self, place: Place, outcome: Outcome) -> bool {
        self.left.rejected.extend(outcome.rejected);
        self.left.troubles.extend(outcome.troubles);
        let is_to_attend = std::mem::take(&mut self.is_to_attend);
        !self.left.is_empty() || self.stands(place) || self.renewal.is_some() || is_to_attend
    }

    /// Whether nothing at a gate goes on by itself.
    fn stands(&self, place: Place) -> bool {
        let gate = self.gate(place);
        gate.outstanding == 0 && gate.is_in_trouble()
    }

    /// Sends again what is due. Before a producer is replaced, takes back what it has not sent.
    pub fn attend(&mut self, now: Instant, outcome: &mut Outcome) {
        if self.renewal.is_some() && self.outstanding > 0 && self.take_back_at <= now {
            self.take_back_at = now + TAKE_BACK;
            self.producer.purge_queued();
        }
        for place in self.closed.clone() {
            self.step(place, now, outcome);
        }
    }

    /// When there is something to [attend](Self::attend) to. What may not be sent is not due.
    pub fn due(&self) -> Option<Instant> {
        if self.renewal.is_some() {
            return (self.outstanding > 0).then_some(self.take_back_at);
        }
        // Nothing of a topic is sent before it has settled.
        let is_settling = |place: &&Place| {
            let topic = &self.topics[place.topic];
            topic.partitions.are_changing() && topic.outstanding > 0
        };
        let closed = self.closed.iter().filter(|place| !is_settling(place));
        let idle = closed.map(|place| self.gate(*place)).filter(|gate| gate.outstanding == 0);
        idle.filter_map(|gate| gate.retry_at).min()
    }

    /// A topic of which brokers are to be asked before anything of it is sent again.
    pub fn question(&self, now: Instant) -> Option<(usize, String)> {
        let found = self.closed.iter().find(|place| self.is_question(**place, now))?;
        Some((found.topic, self.topics[found.topic].name.clone()))
    }

    fn is_question(&self, place: Place, now: Instant) -> bool {
        let gate = self.gate(place);
        gate.is_due(now) && gate.trouble.is_none() && gate.is_questionable()
    }

    /// What brokers say of a topic: how many partitions it has.
    pub fn answer(&mut self, index: usize, answer: Result<usize, Code>, outcome: &mut Outcome) {
        let now = Instant::now();
        let name = self.topics[index].name.clone();
        let asked = self.closed.iter().copied().filter(|place| place.topic == index);
        for place in asked.filter(|place| self.is_question(*place, now)).collect::<Vec<_>>() {
            let gate = self.gate_mut(place);
            gate.is_to_be_asked_for = false;
            for (order, mut waiting) in gate.waiting.take_doubted() {
                waiting.is_doubted = false;
                match rejected(&name, waiting.slot, answer) {
                    Ok(rejected) => {
                        self.slots.remove(order);
                        outcome.rejected.push((waiting.slot.tag, rejected));
                    }
                    Err(trouble) => {
                        let gate = self.gate_mut(place);
                        gate.trouble.get_or_insert(trouble);
                        gate.waiting.put_back(order, waiting);
                    }
                }
            }
            self.step(place, now, outcome);
        }
    }

    /// Why the producer is to be replaced, once nothing is under way and all failures are decided on. Until it is,
    /// nothing is sent.
    pub fn renewal(&mut self, now: Instant, outcome: &mut Outcome) -> Option<Renewal> {
        if self.renewal.is_some() {
            self.attend(now, outcome);
        }
        self.renewal.clone().filter(|_| self.outstanding == 0)
    }

    /// Goes on with another producer, after a pause if the one before was of no use. Nothing is under way.
    pub fn renew(&mut self, producer: Arc<Producer>, outcome: &mut Outcome) {
        let now = Instant::now();
        let until = match self.renewal {
            Some(Renewal::OutOfUse(_)) => Some(now + self.renewals.next_pause()),
            _ => None,
        };
        for place in std::mem::take(&mut self.closed) {
            let unplaced = Place { partition: None, ..place };
            for (order, mut waiting) in self.gate_mut(place).waiting.take() {
                self.put_to(unplaced, order, &mut waiting.slot);
                self.gate_mut(unplaced).waiting.put_back(order, waiting);
            }
        }
        for (index, topic) in self.topics.iter_mut().enumerate() {
            let waiting = topic.reset();
            if !waiting.is_empty() {
                topic.unplaced =
                    Gate { waiting, is_closed: true, retry_at: until, ..Gate::default() };
                self.closed.insert(Place { topic: index, partition: None });
            } else if self.names.get(&topic.name) == Some(&index) {
                self.names.remove(&topic.name);
                topic.largest_batch = usize::MAX;
                self.free.push(index);
            }
        }
        self.last = None;
        self.made_up = 0;
        self.renewal = None;
        self.producer = producer;
        self.attend(now, outcome);
    }

    /// What stands where, for a test that waits in vain.
    #[cfg(test)]
    pub fn state(&self) -> String {
        let head = format!("outstanding {}, {:?}", self.outstanding, self.renewal);
        self.closed.iter().fold(head, |text, place| {
            let gate = self.gate(*place);
            let Gate { outstanding, group, allowed, sent, suspects, trouble, .. } = gate;
            let (waiting, again) = (gate.waiting.len(), gate.retry_at.map(|at| at - Instant::now()));
            let is_questionable = gate.is_questionable();
            format!(
                "{text}\n{place:?}: outstanding {outstanding}, waiting {waiting}, group {group}, allowed {allowed}, \
                 sent {sent:?}, suspects {suspects}, {trouble:?}, again in {again:?}, questionable {is_questionable}"
            )
        })
    }
}

/// Why Kafka never takes a record whose partition its client does not know, or why it must wait, by what brokers
/// say of its topic: how many partitions it has.
fn rejected(name: &str, slot: Slot, answer: Result<usize, Code>) -> Result<Rejected, String> {
    let chosen = slot.chosen.unwrap_or_default();
    let has = answer.map(|count| usize::try_from(chosen).is_ok_and(|chosen| chosen < count));
    match (has, answer.map_err(meaning)) {
        (Ok(false), Ok(1..)) => Ok(Rejected {
            reason: Reason::BadOutput,
            error: format!(
                "a plugin has chosen partition {chosen} of Kafka topic {name:?}: the topic does not have that \
                 partition"
            ),
        }),
        (_, Err(Meaning::NoTopic(what))) if slot.terms.topic_is_made_up => Ok(Rejected {
            reason: Reason::BadTopic,
            error: format!("cannot write to Kafka topic {name:?}: {what}"),
        }),
        (_, told) => {
            let what = match told {
                Ok(0) => "the topic has no partitions yet".to_owned(),
                Ok(_) => "Kafka's client has not heard of the partition yet".to_owned(),
                Err(Meaning::NoTopic(what) | Meaning::Retryable(what)) => what,
                Err(_) => "brokers do not say what has become of it".to_owned(),
            };
            Err(format!("cannot write to Kafka topic {name:?}: {what}"))
        }
    }
}
