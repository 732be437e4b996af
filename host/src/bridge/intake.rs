//! Where a source puts messages, and learns what became of them: finds the routes of each, packs
//! them into parcels, one for each lane and route, and keeps the ledger.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::Stop;
use super::accounts::Accounts;
use super::credit::Credit;
use super::hooks::News;
use super::inbox::{Inbox, Parcel};
use super::record_id::MESSAGES;
use super::router::Router;
use crate::message::{ConnectionEvent, ConnectionOutcome, Cut, Publish, Qos, Sequence};
use crate::source::Downstream;

/// Implements [`Downstream`] for the bridge.
pub struct Intake {
    /// Its source's number.
    source: usize,
    router: Router,
    accounts: Arc<Accounts>,
    packer: Packer,
    stop: Arc<Stop>,
    /// Messages that are not whole, each with its lane.
    cut: Vec<(usize, Parcel)>,
    /// Messages in all parcels, each once.
    taken: u64,
    settled: Vec<Sequence>,
    news: News,
}

/// Fills parcels for lanes.
struct Packer {
    inboxes: Vec<Arc<Inbox>>,
    credit: Arc<Credit>,
    /// What will go to each lane by each route, and whatever no route takes: lane by lane.
    parcels: Vec<Parcel>,
    /// Those of them that are not empty.
    filled: Vec<usize>,
    /// Places that a lane has among them.
    width: usize,
}

impl Packer {
    /// Messages of one topic always take the same lane.
    fn lane_of(&self, topic: &str) -> usize {
        match self.inboxes.len() {
            1 => 0,
            lanes => {
                let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(topic);
                (hash % lanes as u64) as usize
            }
        }
    }

    /// A copy of a message goes to this lane by this route.
    fn pack(
        &mut self,
        (lane, route): (usize, usize),
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
    ) {
        let place = lane * self.width + route;
        let parcel = &mut self.parcels[place];
        if parcel.batch.is_empty() {
            self.filled.push(place);
        }
        parcel.push(&self.credit, sequence, received_at_ms, publish);
        if parcel.batch.len() == MESSAGES {
            self.inboxes[lane].deliver(parcel.take());
        }
    }

    /// Sends on what is not full yet.
    fn forward(&mut self) {
        for place in self.filled.drain(..) {
            let parcel = self.parcels[place].take();
            // A full one has gone before.
            if !parcel.batch.is_empty() {
                self.inboxes[place / self.width].deliver(parcel);
            }
        }
    }
}

impl Intake {
    /// For the source of that number.
    pub fn new(
        source: usize,
        router: Router,
        inboxes: Vec<Arc<Inbox>>,
        accounts: Arc<Accounts>,
        credit: Arc<Credit>,
        stop: Arc<Stop>,
        news: News,
    ) -> Self {
        let width = router.places();
        let lane = || (0..width).map(|route| Parcel::new(route, source));
        let parcels = inboxes.iter().flat_map(|_| lane()).collect();
        let packer = Packer { inboxes, credit, parcels, filled: Vec::new(), width };
        let (cut, settled) = (Vec::new(), Vec::new());
        Self { source, router, accounts, packer, stop, cut, taken: 0, settled, news }
    }

    /// Takes a dead letter: by the route that it took, and by no other.
    pub fn take_letter(
        &mut self,
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
        kafka_topic: Option<&str>,
    ) {
        let lane = self.packer.lane_of(publish.topic);
        let route = self.router.route_of_letter(publish.topic, kafka_topic);
        self.packer.pack((lane, route), sequence, received_at_ms, publish);
        self.taken += 1;
    }
}

impl Downstream for Intake {
    fn has_credit(&self, qos: Qos) -> bool {
        self.packer.credit.available(qos)
    }

    fn take(&mut self, sequence: Sequence, received_at_ms: i64, publish: &Publish<'_>) {
        let lane = self.packer.lane_of(publish.topic);
        let routes = self.router.routes_of(publish.topic);
        self.accounts.travels_as(sequence, routes.len());
        for route in routes {
            self.packer.pack((lane, *route), sequence, received_at_ms, publish);
        }
        self.taken += 1;
    }

    fn take_cut(
        &mut self,
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
        cut: Cut,
    ) {
        let lane = self.packer.lane_of(publish.topic);
        let routes = self.router.routes_of(publish.topic);
        self.accounts.travels_as(sequence, routes.len());
        for route in routes {
            let mut parcel = Parcel { cut: Some(cut), ..Parcel::new(*route, self.source) };
            parcel.push(&self.packer.credit, sequence, received_at_ms, publish);
            self.cut.push((lane, parcel));
        }
        self.taken += 1;
    }

    fn forward(&mut self) {
        self.accounts.ledger().received(std::mem::take(&mut self.taken));
        for (lane, parcel) in self.cut.drain(..) {
            self.packer.inboxes[lane].deliver(parcel);
        }
        self.packer.forward();
    }

    fn let_go(&mut self) {
        self.accounts.ledger().let_go(1);
    }

    fn dropped(&mut self) {
        // Once the bridge has given up, the ledger is closed, and may be being read.
        if !self.stop.abandoned() {
            self.accounts.ledger().dropped(1);
        }
    }

    fn confirmed(&mut self) -> &[Sequence] {
        self.settled.clear();
        self.accounts.settle(&mut self.settled);
        &self.settled
    }

    fn acknowledged(&mut self, messages: u64) {
        self.accounts.ledger().acknowledged(messages);
    }

    fn connection_event(&mut self, event: ConnectionEvent) {
        let ledger = self.accounts.ledger();
        match event.outcome {
            ConnectionOutcome::Connected { .. } if event.reconnect => {
                ledger.connection(true);
                ledger.reconnected();
            }
            ConnectionOutcome::Failed { lost: true, .. } => ledger.connection(false),
            _ => {}
        }
        self.news.tell(event);
    }
}
