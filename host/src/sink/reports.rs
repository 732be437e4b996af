//! The sink's own thread, which reads reports of what has failed, and sends again what is to be sent again.
//!
//! Polling with a timeout would spin through its last millisecond, which costs one percent of a
//! processor at ten polls a second, for ever. So this thread sleeps until librdkafka rings a bell, or
//! somebody wakes it who knows that there is something to be done.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaRespErr as Code;

use super::gathered::Gathered;
use super::native::Producer;
use super::ordered::{Outcome, Renewal};
use super::{Sink, lock, topic};

/// How long Kafka may take to say what it knows of a topic.
const LOOK: Duration = Duration::from_secs(1);
/// How often to look around although nothing has rung, which nothing depends on.
const GLANCE: Duration = Duration::from_secs(1);

impl Sink {
    /// Reads reports until it is told to end.
    pub(super) fn run(self) {
        let mut producer = self.producer();
        let mut bell = producer.ring(std::thread::current());
        while !self.shared.ended.load(Ordering::Acquire) {
            let reported = producer.next_reports();
            let idle = reported.is_none();
            if let Some(reports) = reported {
                let mut outcome = Outcome::default();
                self.gates().report(&reports, &mut outcome);
                self.tell(outcome);
            }
            if producer.client().context().take_lost() {
                self.find_brokers(&producer);
            }
            let due = self.attend(&producer);
            let current = self.producer();
            if !Arc::ptr_eq(&producer, &current) {
                drop(bell);
                producer = current;
                bell = producer.ring(std::thread::current());
            } else if idle && !producer.has_events() {
                let wait = due.map_or(GLANCE, |due| due.saturating_duration_since(Instant::now()));
                // Returns at once if the bell has rung since.
                std::thread::park_timeout(wait.min(GLANCE));
            }
        }
    }

    /// Begins anew with the brokers that the user has named.
    fn find_brokers(&self, producer: &Producer) {
        let brokers = lock(&self.shared.settings).brokers.clone();
        tracing::warn!("Kafka has named no broker of its cluster; asking {brokers} again");
        producer.add_brokers(&brokers);
    }

    /// Does what is due, and says when there is more to do.
    fn attend(&self, producer: &Producer) -> Option<Instant> {
        let now = Instant::now();
        let mut outcome = {
            let mut gates = self.gates();
            if gates.are_open() {
                return None;
            }
            let mut outcome = gates.take_left();
            gates.attend(now, &mut outcome);
            outcome
        };
        loop {
            let question = self.gates().question(now);
            let Some((index, name)) = question else { break };
            // Without the gates, so that nobody waits.
            let metadata = producer.client().fetch_metadata(Some(&name), LOOK);
            let partitions = match metadata {
                Ok(metadata) => topic::partitions(&metadata, &name)
                    .unwrap_or(Err(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)),
                Err(_) => Err(Code::RD_KAFKA_RESP_ERR__TRANSPORT),
            };
            self.gates().answer(index, partitions, &mut outcome);
        }
        let renewal = self.gates().renewal(now, &mut outcome);
        if let Some(renewal) = renewal {
            self.replace(&renewal, &mut outcome);
        }
        let due = self.gates().due();
        self.tell(outcome);
        due
    }

    /// Makes another producer; nothing is under way.
    fn replace(&self, renewal: &Renewal, outcome: &mut Outcome) {
        match renewal {
            Renewal::OutOfUse(cause) => {
                let line =
                    format!("the Kafka producer is out of use ({cause}); making another one");
                lock(&self.shared.troubles).warn(line);
            }
            Renewal::Names => tracing::debug!("forgetting the names of topics that do not exist"),
        }
        if let Err(problem) = self.renew(outcome) {
            // It has been made once, with the same properties.
            tracing::error!("{problem}; trying again");
        }
    }

    /// Passes on what has come of failures.
    fn tell(&self, outcome: Outcome) {
        for (trouble, pause) in outcome.troubles {
            let waiting = self.gates().waiting();
            self.shared.health.blame(trouble.clone());
            lock(&self.shared.troubles).warn(format_args!(
                "{trouble}; nothing is lost: {waiting} or more messages wait, trying again in {:.1} s",
                pause.as_secs_f32()
            ));
        }
        let mut instead = Gathered::default();
        for (tag, rejected) in outcome.rejected {
            self.shared.events.rejected(tag, rejected, &mut instead);
        }
        self.send(&mut instead);
    }
}
