//! Before the path: reads what a topic holds, dead letters, to be looked at or to be carried again.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::metadata::MetadataPartition;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::{Health, Settings};

/// How long Kafka may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record as Kafka has it.
pub struct Stored {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Stored {
    /// How to speak of its place: `TOPIC[PARTITION]@OFFSET`.
    #[must_use]
    pub fn place(&self, topic: &str) -> String {
        format!("{topic}[{}]@{}", self.partition, self.offset)
    }
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the oldest record that there is.
    Beginning,
    /// Behind what was [committed](Reader::commit) last, in each partition.
    Committed,
}

/// What a look for the next record brings.
pub enum Next {
    Record(Stored),
    /// Kafka has sent none in this time.
    Nothing,
    /// There are no more.
    End,
}

/// How far a topic is done with: the first offset that is not, in each partition.
pub type Position = BTreeMap<i32, i64>;

/// Reads every record that a topic holds at the start, each partition in order. It is alone: no group
/// shares the partitions, but positions are kept under the name of one.
pub struct Reader {
    consumer: BaseConsumer<Listening>,
    topic: String,
    brokers: String,
    group: String,
    /// Where reading begins.
    position: Position,
    /// Where the partitions end that have not been read to their end.
    ends: HashMap<i32, i64>,
    /// When Kafka was heard of last.
    heard: Instant,
}

impl Reader {
    /// Waits for Kafka's answers.
    ///
    /// # Errors
    /// If Kafka has no such topic, or does not answer, or does not let it be read.
    pub fn open(settings: &Settings, topic: &str, from: From) -> Result<Self, String> {
        let group = format!("{}-replay", settings.client_id);
        let consumer = consumer(settings, &group).map_err(|error| error.to_string())?;
        let mut reader = Self {
            consumer,
            topic: topic.to_owned(),
            brokers: settings.brokers.clone(),
            group,
            position: Position::new(),
            ends: HashMap::new(),
            heard: Instant::now(),
        };
        match reader.find(from) {
            Ok(true) => Ok(reader),
            Ok(false) => Err(reader.unreadable(&"there is no such topic")),
            Err(error) => {
                // librdkafka says why only to those who wait for records.
                drop(reader.consumer.poll(Duration::ZERO));
                Err(reader.failed(&error))
            }
        }
    }

    /// Finds where to begin and to end, and begins; `false` if there is no such topic.
    fn find(&mut self, from: From) -> Result<bool, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), PATIENCE)?;
        self.heard = Instant::now();
        let found = metadata.topics().iter().find(|found| found.name() == self.topic);
        let partitions = match found {
            Some(found) if found.error().is_none() && !found.partitions().is_empty() => {
                found.partitions().iter().map(MetadataPartition::id)
            }
            _ => return Ok(false),
        };
        let mut assignment = TopicPartitionList::new();
        for partition in partitions {
            let (low, high) = self.consumer.fetch_watermarks(&self.topic, partition, PATIENCE)?;
            self.position.insert(partition, low);
            self.ends.insert(partition, high);
            assignment.add_partition(&self.topic, partition);
        }
        if from == From::Committed {
            let committed = self.consumer.committed_offsets(assignment, PATIENCE)?;
            for element in committed.elements() {
                let place = self.position.get_mut(&element.partition());
                // A position behind the end is of a topic that was deleted since.
                let end = self.ends.get(&element.partition()).copied().unwrap_or_default();
                if let (Some(place), Offset::Offset(offset)) = (place, element.offset())
                    && offset <= end
                {
                    *place = offset.max(*place);
                }
            }
        }
        let Self { position, ends, .. } = self;
        ends.retain(|partition, end| position.get(partition).is_some_and(|begin| begin < end));
        self.consumer.assign(&self.list(&self.position)?)?;
        Ok(true)
    }

    /// Where reading begins.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Waits so long for a record.
    ///
    /// # Errors
    /// If Kafka has not sent what is there for ten seconds.
    pub fn next(&mut self, wait: Duration) -> Result<Next, String> {
        if self.ends.is_empty() {
            return Ok(Next::End);
        }
        match self.consumer.poll(wait) {
            None if self.heard.elapsed() > PATIENCE => {
                let seconds = PATIENCE.as_secs();
                Err(self.failed(&format_args!("nothing came for {seconds} s")))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.ends.remove(&partition);
                self.heard = Instant::now();
                Ok(Next::Nothing)
            }
            Some(Err(error)) if self.heard.elapsed() > PATIENCE => Err(self.failed(&error)),
            // After an error it tries again by itself; time is what ends that.
            None | Some(Err(_)) => Ok(Next::Nothing),
            Some(Ok(record)) => {
                self.heard = Instant::now();
                let (partition, offset) = (record.partition(), record.offset());
                let Some(end) = self.ends.get(&partition).copied() else {
                    return Ok(Next::Nothing);
                };
                let next = if offset < end { Next::Record(read(&record)) } else { Next::Nothing };
                if offset + 1 >= end {
                    self.ends.remove(&partition);
                }
                Ok(next)
            }
        }
    }

    /// Says that nobody has looked for records for a while, so that Kafka's silence means nothing.
    pub fn rested(&mut self) {
        self.heard = Instant::now();
    }

    /// Keeps how far the topic is done with, for the next time; a position is not empty.
    ///
    /// # Errors
    /// If Kafka does not take it.
    pub fn commit(&self, position: &Position) -> Result<(), String> {
        let list = self.list(position);
        let committed = list.and_then(|list| self.consumer.commit(&list, CommitMode::Sync));
        committed.map_err(|error| {
            let cure = match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::WaitingForCoordinator) => {
                    "see whether its brokers run".to_owned()
                }
                _ => format!(
                    "check that this client has the Read right on the group {:?}",
                    self.group
                ),
            };
            format!(
                "cannot keep how far Kafka topic {:?} at {} has been redelivered: {error}; {cure}",
                self.topic, self.brokers
            )
        })
    }

    fn list(&self, position: &Position) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in position {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        Ok(list)
    }

    /// With why Kafka has not answered since it was heard of last, if that is known.
    fn failed(&self, what: &dyn Display) -> String {
        match self.consumer.context().0.reason(self.heard) {
            Some(why) => {
                format!("cannot read Kafka topic {:?}: {why}; check --broker-address", self.topic)
            }
            None => self.unreadable(what),
        }
    }

    fn unreadable(&self, what: &dyn Display) -> String {
        format!(
            "cannot read Kafka topic {:?} at {}: {what}; check --broker-address, the topic's name, and \
             that this client has the Describe and Read rights on it and on the group {:?}",
            self.topic, self.brokers, self.group
        )
    }
}

fn consumer(settings: &Settings, group: &str) -> Result<BaseConsumer<Listening>, KafkaError> {
    let mut config = ClientConfig::new();
    for (name, value) in settings.connection() {
        config.set(name, value);
    }
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        // Nobody shares the group: so long a position waits for a broker that keeps it.
        .set("session.timeout.ms", PATIENCE.as_millis().to_string())
        .set("enable.partition.eof", "true")
        // Behind the last record that is there it would be the next one that comes.
        .set("auto.offset.reset", "earliest")
        .create_with_context(Listening(Health::new(&settings.brokers)))
}

/// Keeps why Kafka does not answer.
struct Listening(Health);

impl ClientContext for Listening {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        if facility == "FAIL" {
            self.0.failed(text);
        }
        tracing::trace!(target: "librdkafka", facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // Kafka has answered.
            None | Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
            Some(code) => self.0.error(code, reason),
        }
    }
}

impl ConsumerContext for Listening {}

fn read(record: &BorrowedMessage<'_>) -> Stored {
    let headers = record.headers().into_iter().flat_map(Headers::iter);
    Stored {
        partition: record.partition(),
        offset: record.offset(),
        timestamp_ms: record.timestamp().to_millis().unwrap_or_default(),
        value: record.payload().map(<[u8]>::to_vec),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect(),
    }
}
