//! The heart of the sink: what keeps records in order while Kafka refuses some of them.
//!
//! Each topic has a gate. Records go to librdkafka while none of their topic are under way; what comes
//! meanwhile waits at the gate, and leaves as one batch as soon as Kafka has those. What fails goes back
//! to its place among those that wait. Once nothing of the topic is under way, these are sent again: all
//! of them if only some others were rejected, one if there is trouble, half of them if one of a batch is
//! bad and brokers do not say which.
//!
//! When a broker refuses records, what librdkafka has not sent is taken back, of all topics, since it
//! knows no smaller measure. So all gates are closed until nothing is under way, a round trip or so. Then
//! topics of which little waits go first, such as dead letters, and the broker's thread sends the rest.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr as Code;

use super::error::{Meaning, NO_IDEMPOTENCE, meaning};
use super::gathered::Gathered;
use super::native::{self, NotProduced, Partitions, Parts, Producer, Report, Reports, Watch};
use super::queue::{Kept, Order, Queue};
use super::{Rejected, Tag};
use crate::backoff::Backoff;
use crate::message::Reason;
use crate::numbered::Numbered;

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How soon to look again whether librdkafka's queue has room. The credit of sources is below its
/// limits, so only records that plugins made much larger than their messages fill it.
const QUEUE_FULL: Duration = Duration::from_millis(10);

/// Records that librdkafka has before the thread of a broker wakes up and makes a batch of what it finds.
/// That thread itself sends as many as there are.
const BEFORE_IT_WAKES: usize = 64;

/// How long after a refusal a topic is taken for one that has more of it. The first of its records goes alone
/// then, and the rest in one batch: whatever is in a batch with a bad record is sent twice.
const REFUSING: Duration = Duration::from_millis(100);

/// How often to take back again what librdkafka would retry, while records are under way that were when others
/// were refused. It retries nothing sooner.
const TAKE_BACK: Duration = Duration::from_millis(50);

/// Records that are sent before others get their turn with the gates.
const TURN: usize = 64;

/// Names that messages have made up and Kafka does not have; librdkafka forgets none of them, so that
/// a producer is replaced after so many.
const MADE_UP: usize = 1_000;

/// No batch is made smaller than this for being too large, in bytes.
const SMALLEST_BATCH: usize = 1_024;

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
}

type Waiting = super::queue::Waiting<Slot>;

struct Topic {
    name: String,
    handle: Option<native::Topic>,
    partitions: Partitions,
    /// Records under way.
    outstanding: usize,
    is_closed: bool,
    waiting: Queue<Slot>,
    /// How many records to send at a time while it is closed.
    group: usize,
    /// How many of those that wait may be sent now.
    allowed: usize,
    /// When a broker last refused some of its records.
    refused_at: Option<Instant>,
    /// Records of the last batch that was refused without a word on which of them are bad.
    suspects: usize,
    /// Why nothing can be written to it.
    trouble: Option<String>,
    /// Nothing is sent before.
    retry_at: Option<Instant>,
    /// Brokers are to be asked for it first, since librdkafka refuses by itself what it last knew to
    /// be missing.
    is_to_be_asked_for: bool,
    /// A message has made its name up, and Kafka does not have it.
    is_made_up: bool,
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
            waiting: Queue::default(),
            group: usize::MAX,
            allowed: 0,
            refused_at: None,
            suspects: 0,
            trouble: None,
            retry_at: None,
            is_to_be_asked_for: false,
            is_made_up: false,
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
        }
    }

    /// Whether something of it may be sent now.
    fn is_due(&self, now: Instant) -> bool {
        self.is_closed && self.outstanding == 0 && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Whether brokers are to be asked of it before anything is sent.
    fn is_questionable(&self) -> bool {
        self.is_to_be_asked_for || self.waiting.is_doubted()
    }

    /// Whether more is to be done than to send again what waits.
    fn is_in_trouble(&self) -> bool {
        self.trouble.is_some() || self.retry_at.is_some() || self.is_questionable()
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

/// What has come of failures.
#[derive(Default)]
pub(super) struct Outcome {
    pub rejected: Vec<(Tag, Rejected)>,
    /// Topics to which nothing can be written, for the log: which, why, and the pause.
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
    /// What waits for this topic may be [sent](Gates::begin).
    Send(usize),
    /// What waits for several topics may be: [those](Gates::take_postponed).
    SendPostponed,
    /// More than that: whoever reads reports is to [attend](Gates::attend) to it.
    Attend,
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
    /// What is known of the records that Kafka does not have.
    slots: Numbered<Slot>,
    outstanding: usize,
    /// A broker has refused records, and something that was under way then still is: when to take back again
    /// what has come back meanwhile.
    draining: Option<Instant>,
    renewal: Option<Renewal>,
    /// Between producers, for as long as none of them works.
    renewals: Backoff,
    /// Topics that are left to a broker's thread, which comes by when Kafka has some other record.
    postponed: Vec<usize>,
    /// They are not left to it for longer.
    postponed_until: Instant,
    /// How many names the producer at hand has been given that messages have made up.
    made_up: usize,
    /// What came of it that somebody sent what waits, and is still to be told.
    left: Outcome,
    /// Kept for its memory.
    touched: Vec<usize>,
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
            slots: Numbered::default(),
            outstanding: 0,
            draining: None,
            renewal: None,
            renewals: Backoff::new(PAUSES.0, PAUSES.1),
            postponed: Vec::new(),
            postponed_until: Instant::now(),
            made_up: 0,
            left: Outcome::default(),
            touched: Vec::new(),
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

    /// Sends records, behind others of their topics. Whether something came of it that is to be
    /// [told](Self::take_left), or somebody has to [attend](Self::attend) to it.
    pub fn send(&mut self, gathered: &mut Gathered) -> bool {
        let mut touched = std::mem::take(&mut self.touched);
        for (topic, (tag, timestamp_ms, partition, terms), kept) in gathered.take() {
            let index = self.topic(topic);
            let slot = Slot { tag, timestamp_ms, topic: index, partition, terms };
            let order = self.slots.push(Some(slot));
            let waiting = Waiting { slot, kept, is_doubted: false };
            let topic = self.close(index);
            topic.waiting.push(order, waiting);
            if topic.outstanding == 0 && touched.last() != Some(&index) {
                touched.push(index);
            }
        }
        gathered.clear();
        let (mut outcome, now) = (std::mem::take(&mut self.left), Instant::now());
        let mut stands = false;
        for index in touched.drain(..) {
            self.step(index, now, &mut outcome);
            stands |= self.stands(index);
        }
        (self.left, self.touched) = (outcome, touched);
        stands || !self.left.is_empty() || self.is_halted()
    }

    /// Whether nothing waits at any gate, and there is nothing to attend to.
    pub fn are_open(&self) -> bool {
        self.closed.is_empty() && !self.is_halted() && self.left.is_empty()
    }

    /// Whether nothing may be sent to any topic.
    fn is_halted(&self) -> bool {
        let has_failures = self.watch.failed.load(Ordering::SeqCst) > 0;
        self.draining.is_some() || self.renewal.is_some() || has_failures
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
            topic.partitions.rest(Instant::now());
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
                self.close(waiting.slot.topic).waiting.put_back(order, waiting);
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
        if self.is_out_of_use() {
            // Whatever it says of a record, it says of all.
            self.close(index).waiting.put_back(order, waiting);
            return None;
        }
        self.close(index);
        let topic = &mut self.topics[index];
        let name = &topic.name;
        let cannot = |what: &str| format!("cannot write to Kafka topic {name:?}: {what}");
        let mut trouble = None;
        match meaning(code) {
            Meaning::Rejected(reason, error) if is_guilty && !terms.must_arrive => {
                self.slots.remove(order);
                return Some(Rejected { reason, error });
            }
            Meaning::Rejected(_, error) if is_guilty => trouble = Some(cannot(&error)),
            // It is alone in its batch, or fits, once batches are small enough.
            Meaning::Purged | Meaning::Rejected(Reason::TooLarge, _) => {}
            Meaning::Rejected(..) => topic.suspects += 1,
            Meaning::NoTopic(what) if terms.topic_is_made_up => {
                let error = cannot(&what);
                self.made_up += usize::from(!std::mem::replace(&mut topic.is_made_up, true));
                self.slots.remove(order);
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
            Meaning::OutOfUse(what) => {
                if code == Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH {
                    // Epochs count refusals, and begin anew after 32,767 of them.
                    self.renewal = Some(Renewal::OutOfUse(what));
                } else {
                    topic.retry_at = Some(Instant::now() + PAUSES.0);
                }
            }
        }
        topic.is_to_be_asked_for |= trouble.is_some();
        topic.trouble = topic.trouble.take().or(trouble);
        topic.waiting.put_back(order, waiting);
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

    /// A broker has refused records: whatever is under way may come back, and nothing may overtake it.
    pub fn drain(&mut self) {
        if self.outstanding > 0 {
            self.draining = Some(Instant::now() + TAKE_BACK);
            self.watch.is_draining.store(true, Ordering::Release);
            self.producer.purge_queued();
        }
    }

    /// Kafka has a record, in this partition: whose it was, and what is to be done then.
    pub fn confirm(&mut self, order: Order, partition: i32) -> Option<(Tag, Then)> {
        let Slot { tag, topic: index, .. } = self.slots.remove(order)?;
        self.outstanding -= 1;
        self.renewals.reset();
        let topic = &mut self.topics[index];
        topic.outstanding -= 1;
        topic.partitions.prove(partition);
        let is_next = topic.is_closed && topic.outstanding == 0;
        let is_last = self.outstanding == 0 && self.is_halted();
        let then = if is_last || is_next && self.topics[index].is_in_trouble() {
            Then::Attend
        } else if !self.postponed.is_empty() {
            self.postponed.extend(is_next.then_some(index));
            Then::SendPostponed
        } else if is_next {
            Then::Send(index)
        } else {
            Then::Nothing
        };
        Some((tag, then))
    }

    /// Topics whose turn has come, which are not postponed any more.
    pub fn take_postponed(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.postponed)
    }

    /// Takes in the reports of a batch that has failed.
    pub fn report(&mut self, reports: &Reports, outcome: &mut Outcome) {
        self.watch.failed.fetch_sub(reports.len(), Ordering::SeqCst);
        let is_innocent = |report: Report<'_>| {
            report.error() == Some(Code::RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD)
        };
        let words = |index| reports.get(index).words_address();
        let are_named =
            reports.iter().any(is_innocent) || reports.len() > 1 && words(0) != words(1);
        let is_guilty = reports.len() == 1 || are_named;
        let mut topic = None;
        for report in reports.iter() {
            let order = report.ticket();
            let (Some(slot), Some(code)) = (self.slots.get(order).copied(), report.error()) else {
                continue;
            };
            topic = Some(slot.topic);
            self.outstanding -= 1;
            self.topics[slot.topic].outstanding -= 1;
            let kept = Kept::new(report.key(), report.value(), report.take_headers());
            let waiting = Waiting { slot, kept, is_doubted: false };
            if let Some(rejected) = self.failed(order, waiting, code, is_guilty) {
                outcome.rejected.push((slot.tag, rejected));
            }
        }
        let Some(topic) = topic else { return };
        let first = reports.get(0).error().map(meaning);
        if matches!(first, Some(Meaning::Rejected(..))) || are_named {
            self.topics[topic].refused_at = Some(Instant::now());
        }
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
        self.draining.is_some() && self.outstanding == 0
    }

    /// Goes on after a refusal: with topics of which little waits, such as dead letters. Once Kafka has
    /// some of that, the broker's thread sends the rest, so that it leaves as one batch of each topic.
    pub fn resume(&mut self, outcome: &mut Outcome) {
        self.draining = None;
        self.watch.is_draining.store(false, Ordering::Release);
        let closed = self.closed.iter().copied();
        self.postponed =
            closed.filter(|index| self.topics[*index].waiting.len() > BEFORE_IT_WAKES).collect();
        let now = Instant::now();
        self.postponed_until = now + REFUSING;
        self.attend(now, outcome);
    }

    /// Whether what waits for a topic may be sent now, up to so many records: [`Self::go_on`] does.
    pub fn begin(
        &mut self,
        index: usize,
        limit: usize,
        now: Instant,
        outcome: &mut Outcome,
    ) -> bool {
        if self.made_up > MADE_UP {
            self.renewal.get_or_insert(Renewal::Names);
        }
        let is_halted = self.is_halted();
        let topic = &mut self.topics[index];
        if is_halted || !topic.is_closed || topic.outstanding > 0 {
            return false;
        }
        if let Some(trouble) = topic.trouble.take() {
            let pause = topic.backoff.next_pause();
            topic.retry_at = Some(now + pause);
            (topic.group, topic.suspects) = (0, 0);
            outcome.troubles.push((trouble, pause));
            return false;
        }
        if topic.retry_at.is_some_and(|at| at > now) || topic.is_questionable() {
            return false;
        }
        topic.retry_at = None;
        topic.allowed = match std::mem::take(&mut topic.suspects) {
            0 => {
                topic.group = topic.group.saturating_mul(2).max(1);
                topic.group.min(limit)
            }
            suspects => {
                topic.group = (suspects / 2).max(1);
                topic.group
            }
        };
        if topic.partitions.are_unknown() {
            topic.allowed = 1;
        }
        true
    }

    /// Sends some of what waits for a topic. Whether more may be sent.
    pub fn go_on(&mut self, index: usize, outcome: &mut Outcome) -> bool {
        for _ in 0..TURN {
            let is_halted = self.is_halted();
            let topic = &mut self.topics[index];
            if is_halted || topic.allowed == 0 || topic.is_in_trouble() {
                topic.allowed = 0;
                break;
            }
            let Some((order, mut waiting)) = topic.waiting.pop() else { break };
            let Slot { tag, timestamp_ms, partition, .. } = waiting.slot;
            let mut parts = waiting.kept.parts(timestamp_ms, partition);
            let Err(refused) = self.produce(index, order, &mut parts) else {
                self.topics[index].allowed -= 1;
                continue;
            };
            waiting.kept.headers = parts.headers.take();
            let Some(rejected) = self.held(order, waiting, refused) else {
                self.topics[index].allowed = 0;
                break;
            };
            outcome.rejected.push((tag, rejected));
        }
        let topic = &mut self.topics[index];
        if topic.waiting.is_empty() {
            topic.is_closed = false;
            self.closed.remove(&index);
            (topic.group, topic.allowed) = (usize::MAX, 0);
            topic.backoff.reset();
            return false;
        }
        topic.allowed > 0
    }

    /// Sends what waits for a topic of which nothing is under way, as far as anybody but a broker's thread
    /// may.
    fn step(&mut self, index: usize, now: Instant, outcome: &mut Outcome) {
        let refused_at = self.topics[index].refused_at;
        let is_refusing = refused_at.is_some_and(|at| now.duration_since(at) < REFUSING);
        let limit = if is_refusing { 1 } else { BEFORE_IT_WAKES };
        // What librdkafka refuses by itself is in trouble at once, and begins with a pause.
        while self.begin(index, limit, now, outcome) {
            while self.go_on(index, outcome) {}
            if self.topics[index].trouble.is_none() {
                return;
            }
        }
    }

    /// What is to be told.
    pub fn take_left(&mut self) -> Outcome {
        std::mem::take(&mut self.left)
    }

    /// Leaves what came of sending what waited for a topic to be told by others. Whether there is
    /// something, or they have to [attend](Self::attend) to the topic.
    pub fn leave(&mut self, index: usize, outcome: Outcome) -> bool {
        self.left.rejected.extend(outcome.rejected);
        self.left.troubles.extend(outcome.troubles);
        !self.left.is_empty() || self.stands(index) || self.outstanding == 0 && self.is_halted()
    }

    /// Whether nothing of a topic goes on by itself.
    fn stands(&self, index: usize) -> bool {
        let topic = &self.topics[index];
        topic.outstanding == 0 && topic.is_in_trouble()
    }

    /// Sends again what is due.
    pub fn attend(&mut self, now: Instant, outcome: &mut Outcome) {
        // What cannot be sent at the moment must not keep another producer waiting; nor the end of a drain,
        // should it have come back when nobody was looking.
        let is_due = match self.draining {
            Some(at) => at <= now,
            None => self.renewal.is_some(),
        };
        if is_due {
            self.drain();
        }
        for index in self.closed.clone() {
            if !self.postponed.contains(&index) {
                self.step(index, now, outcome);
            }
        }
        if self.outstanding == 0 || now >= self.postponed_until {
            for index in self.take_postponed() {
                self.step(index, now, outcome);
            }
        }
    }

    /// When there is something to [attend](Self::attend) to. What may not be sent is not due.
    pub fn due(&self) -> Option<Instant> {
        if self.is_halted() {
            return self.draining;
        }
        let closed = self.closed.iter().map(|index| &self.topics[*index]);
        let again = closed.filter(|topic| topic.outstanding == 0).filter_map(|it| it.retry_at);
        let postponed = (!self.postponed.is_empty()).then_some(self.postponed_until);
        again.chain(postponed).min()
    }

    /// A topic of which brokers are to be asked before anything of it is sent again.
    pub fn question(&self, now: Instant) -> Option<(usize, String)> {
        let mut closed = self.closed.iter().map(|index| (*index, &self.topics[*index]));
        let found = closed.find(|(_, topic)| {
            topic.is_due(now) && topic.trouble.is_none() && topic.is_questionable()
        })?;
        Some((found.0, found.1.name.clone()))
    }

    /// What brokers say of a topic: how many partitions it has.
    pub fn answer(&mut self, index: usize, answer: Result<usize, Code>, outcome: &mut Outcome) {
        let topic = &mut self.topics[index];
        topic.is_to_be_asked_for = false;
        let doubted = topic.waiting.take_doubted();
        let name = topic.name.clone();
        for (order, mut waiting) in doubted {
            waiting.is_doubted = false;
            let slot = waiting.slot;
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
                    self.topics[index].waiting.put_back(order, waiting);
                    continue;
                }
            };
            self.slots.remove(order);
            outcome.rejected.push((slot.tag, rejected));
        }
        self.step(index, Instant::now(), outcome);
    }

    /// Why the producer is to be replaced, once nothing is under way. Until it is, nothing is sent.
    pub fn renewal(&self) -> Option<Renewal> {
        self.renewal.clone().filter(|_| self.outstanding == 0)
    }

    /// Goes on with another producer, after a pause if the one before was of no use. Nothing is under way.
    pub fn renew(&mut self, producer: Arc<Producer>, watch: Arc<Watch>, outcome: &mut Outcome) {
        let now = Instant::now();
        if let Some(Renewal::OutOfUse(_)) = self.renewal {
            let until = now + self.renewals.next_pause();
            for index in &self.closed {
                let topic = &mut self.topics[*index];
                topic.retry_at = topic.retry_at.max(Some(until));
            }
        }
        for (index, topic) in self.topics.iter_mut().enumerate() {
            (topic.handle, topic.partitions) = (None, Partitions::default());
            topic.is_made_up = false;
            if topic.waiting.is_empty() && self.names.remove(&topic.name).is_some() {
                *topic = Topic::new("");
                self.closed.remove(&index);
                self.free.push(index);
            }
        }
        self.last = None;
        self.made_up = 0;
        self.renewal = None;
        (self.producer, self.watch) = (producer, watch);
        self.attend(now, outcome);
    }

    /// What stands where, for a test that waits in vain.
    #[cfg(test)]
    pub fn state(&self) -> String {
        let Self { outstanding, draining, renewal, .. } = self;
        let head = format!("outstanding {outstanding}, draining {draining:?}, {renewal:?}");
        self.topics.iter().fold(head, |text, topic| {
            let Topic { name, outstanding, is_closed, group, allowed, suspects, trouble, .. } = topic;
            let (waiting, again) = (topic.waiting.len(), topic.retry_at.map(|at| at - Instant::now()));
            let is_questionable = topic.is_questionable();
            format!(
                "{text}\n{name}: outstanding {outstanding}, closed {is_closed}, waiting {waiting}, group {group}, \
                 allowed {allowed}, suspects {suspects}, {trouble:?}, again in {again:?}, questionable {is_questionable}"
            )
        })
    }
}
