//! The publisher: it knows which messages the MQTT server has confirmed, and never sends one twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::message::{Id, Kind, Message};
use super::random::Random;
use crate::publisher::Publisher;
use crate::wire::Version;
use crate::{A_WHILE, SOON, eventually};

/// Bursts in a second.
const BURSTS: u32 = 20;

/// Messages in a burst at most.
const LARGEST_BURST: u32 = 1_000;

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub message: Message,
    /// By PUBACK or PUBCOMP. What is not confirmed may have arrived or not.
    pub confirmed: bool,
}

/// What is published.
#[derive(Debug, Clone)]
pub struct Plan {
    pub port: u16,
    pub version: Version,
    pub qos: u8,
    pub topics: u16,
    pub per_second: u32,
    /// A kind of which one message in so many is.
    pub special: Option<(Kind, u32)>,
    /// How old timestamps are.
    pub age: Duration,
    pub random: Random,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    per_second: AtomicU32,
    /// Messages that are sent before the server has to have confirmed them.
    window: AtomicUsize,
    confirmed: AtomicUsize,
}

/// Publishes in the background until it is told to finish.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<(Vec<Sent>, HashSet<Id>)>>,
}

/// How many messages are confirmed, for somebody who watches it from another thread.
#[derive(Debug, Clone)]
pub struct Confirmed(Arc<Shared>);

impl Confirmed {
    pub fn count(&self) -> usize {
        self.0.confirmed.load(Relaxed)
    }
}

impl Traffic {
    pub fn start(plan: Plan) -> Self {
        let shared = Arc::<Shared>::default();
        shared.per_second.store(plan.per_second, Relaxed);
        shared.window.store(LARGEST_BURST as usize, Relaxed);
        let source = Source {
            plan,
            shared: Arc::clone(&shared),
            connection: None,
            sent: Vec::new(),
            next: HashMap::new(),
        };
        Self { shared, thread: Some(std::thread::spawn(move || source.run())) }
    }

    pub fn confirmed(&self) -> Confirmed {
        Confirmed(Arc::clone(&self.shared))
    }

    /// From the next burst on, each of which is also bounded in size.
    pub fn set_rate(&self, per_second: u32) {
        self.shared.per_second.store(per_second, Relaxed);
    }

    /// How many messages are sent at most before the server has to have confirmed them.
    pub fn set_window(&self, messages: usize) {
        self.shared.window.store(messages, Relaxed);
    }

    /// Waits until so many more messages are confirmed.
    pub fn wait_for_more(&self, count: u64) {
        let goal = self.confirmed().count() + count as usize;
        eventually("the MQTT server confirms messages", A_WHILE, || {
            (self.confirmed().count() >= goal).then_some(())
        });
    }

    /// Ends with one more message on each topic, all of them confirmed. The answer is what was sent,
    /// and those last ones.
    ///
    /// # Panics
    /// If the MQTT server does not confirm them, or it is finished already.
    pub fn finish(&mut self) -> (Vec<Sent>, HashSet<Id>) {
        self.shared.stop.store(true, Relaxed);
        let thread = self.thread.take().expect("the load ends once");
        thread.join().expect("the publisher does not fail")
    }
}

struct Source {
    plan: Plan,
    shared: Arc<Shared>,
    connection: Option<Publisher>,
    sent: Vec<Sent>,
    /// The number of the next message on each topic.
    next: HashMap<u16, u32>,
}

impl Source {
    fn run(mut self) -> (Vec<Sent>, HashSet<Id>) {
        let mut due = Instant::now();
        while !self.shared.stop.load(Relaxed) {
            let size = self.shared.per_second.load(Relaxed) / BURSTS;
            let burst = (0..size.clamp(1, LARGEST_BURST)).map(|_| self.draw()).collect();
            self.publish(burst);
            // What could not be sent while the server was away is not made up for.
            due = (due + Duration::from_secs(1) / BURSTS).max(Instant::now());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let mut open: Vec<u16> = (0..self.plan.topics).collect();
        let mut last = HashSet::new();
        eventually("the MQTT server confirms the last messages", SOON, || {
            let burst = open.iter().map(|&topic| self.make(topic, Kind::Plain)).collect();
            let from = self.publish(burst);
            let confirmed = self.sent[from..].iter().filter(|sent| sent.confirmed);
            last.extend(confirmed.map(|sent| sent.message.id));
            open.retain(|topic| !last.iter().any(|id| id.0 == *topic));
            open.is_empty().then_some(())
        });
        (self.sent, last)
    }

    fn draw(&mut self) -> Message {
        let topic = self.plan.random.within(0..u64::from(self.plan.topics)) as u16;
        let kind = match self.plan.special {
            Some((kind, every)) if self.plan.random.once_in(every) => kind,
            _ => Kind::Plain,
        };
        self.make(topic, kind)
    }

    fn make(&mut self, topic: u16, kind: Kind) -> Message {
        let next = self.next.entry(topic).or_default();
        let n = *next;
        *next += 1;
        let message = Message::new((topic, n), kind, self.plan.age);
        Message { version: self.plan.version, qos: self.plan.qos, ..message }
    }

    /// Publishes a burst if the server can be reached; the answer is where it begins in what was sent.
    fn publish(&mut self, burst: Vec<Message>) -> usize {
        let from = self.sent.len();
        let Plan { port, version, .. } = self.plan;
        let connection = self.connection.take();
        let connection =
            connection.map_or_else(|| Publisher::try_connect(port, "publisher", version), Ok);
        let Ok(mut connection) = connection else { return from };
        let packets: Vec<_> = burst.iter().map(Message::publish).collect();
        let mut confirmed = 0;
        for window in packets.chunks(self.shared.window.load(Relaxed)) {
            let of_window = connection.try_publish(window).unwrap_or_default();
            confirmed += of_window;
            if of_window < window.len() {
                break;
            }
        }
        if confirmed == packets.len() {
            self.connection = Some(connection);
        }
        self.shared.confirmed.fetch_add(confirmed, Relaxed);
        let sent = burst.into_iter().enumerate();
        self.sent
            .extend(sent.map(|(index, message)| Sent { message, confirmed: index < confirmed }));
        from
    }
}
