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
    inboxes: Vec<Arc<Inbox>>,
    /// Its source's number.
    source: usize,
    router: Router,
    accounts: Arc<Accounts>,
    credit: Arc<Credit>,
    stop: Arc<Stop>,
    /// What will go to each lane by each route, and whatever no route takes: lane by lane.
    parcels: Vec<Parcel>,
    /// Those of them that are not empty.
    filled: Vec<usize>,
    /// Messages that are not whole, each with its lane.
    cut: Vec<(usize, Parcel)>,
    /// Messages in all of them, each once.
    taken: u64,
    settled: Vec<Sequence>,
    news: News,
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
        let lane = || (0..router.places()).map(|route| Parcel::new(route, source));
        let parcels = inboxes.iter().flat_map(|_| lane()).collect();
        let (filled, cut, settled) = (Vec::new(), Vec::new(), Vec::new());
        let taken = 0;
        Self {
            inboxes,
            source,
            router,
            accounts,
            credit,
            stop,
            parcels,
            filled,
            cut,
            taken,
            settled,
            news,
        }
    }

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
}

impl Downstream for Intake {
    fn has_credit(&self, qos: Qos) -> bool {
        self.credit.available(qos)
    }

    fn take(&mut self, sequence: Sequence, received_at_ms: i64, publish: &Publish<'_>) {
        let lane = self.lane_of(publish.topic);
        let first = lane * self.router.places();
        let routes = self.router.routes_of(publish.topic);
        self.accounts.travels_as(sequence, routes.len());
        for route in routes {
            let parcel = &mut self.parcels[first + route];
            if parcel.batch.is_empty() {
                self.filled.push(first + route);
            }
            parcel.push(&self.credit, sequence, received_at_ms, publish);
            if parcel.batch.len() == MESSAGES {
                self.inboxes[lane].deliver(parcel.take());
            }
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
        let lane = self.lane_of(publish.topic);
        let routes = self.router.routes_of(publish.topic);
        self.accounts.travels_as(sequence, routes.len());
        for route in routes {
            let mut parcel = Parcel { cut: Some(cut), ..Parcel::new(*route, self.source) };
            parcel.push(&self.credit, sequence, received_at_ms, publish);
            self.cut.push((lane, parcel));
        }
        self.taken += 1;
    }

    fn forward(&mut self) {
        self.accounts.ledger().received(std::mem::take(&mut self.taken));
        let width = self.router.places();
        for (lane, parcel) in self.cut.drain(..) {
            self.inboxes[lane].deliver(parcel);
        }
        for place in self.filled.drain(..) {
            let parcel = self.parcels[place].take();
            // A full one has gone before.
            if !parcel.batch.is_empty() {
                self.inboxes[place / width].deliver(parcel);
            }
        }
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
        if event.reconnect && matches!(event.outcome, ConnectionOutcome::Connected { .. }) {
            self.accounts.ledger().reconnected();
        }
        self.news.tell(event);
    }
}
