//! Where a source puts messages, and learns how far they are settled: finds the routes of each, packs
//! them into parcels, one for each route, and carries those that need no plugin.

use std::sync::Arc;

use super::Stop;
use super::credit::Credit;
use super::dead_letter::MESSAGES;
use super::in_flight::InFlight;
use super::inbox::{Inbox, Parcel};
use super::lane::Lane;
use super::router::Router;
use crate::account::{Settled, Wake};
use crate::hook::News;
use crate::ledger::Ledger;
use crate::message::{ConnectionEvent, ConnectionOutcome, Defect, Publish, Qos, Sequence};
use crate::source::Downstream;

/// Implements [`Downstream`] for the bridge.
pub struct Intake {
    /// Its source's number.
    source: usize,
    router: Router,
    in_flight: Arc<InFlight>,
    ledger: Arc<Ledger>,
    packer: Packer,
    stop: Arc<Stop>,
    /// Messages that can only be rejected.
    defective: Vec<Parcel>,
    /// The messages in all parcels: into how many parts each goes, and whether somebody waits for it.
    taken: Vec<(usize, bool)>,
    news: News,
}

/// Fills parcels, and hands them on.
struct Packer {
    /// For routes without plugins, and for what no route takes.
    own: Lane,
    /// The lane of each route that has one.
    inboxes: Vec<Option<Arc<Inbox>>>,
    credit: Arc<Credit>,
    /// What will go by each route, and whatever no route takes.
    parcels: Vec<Parcel>,
    /// Those of them that are not empty.
    filled: Vec<usize>,
    /// Parcels that have as many messages as they can have.
    full: Vec<Parcel>,
}

impl Packer {
    /// A copy of a message goes by this route.
    fn pack(
        &mut self,
        route: usize,
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
    ) {
        let parcel = &mut self.parcels[route];
        if parcel.batch.is_empty() {
            self.filled.push(route);
        }
        parcel.push(&self.credit, sequence, received_at_ms, publish);
        if parcel.batch.len() == MESSAGES {
            self.full.push(parcel.take());
        }
    }

    /// Sends on what there is.
    fn forward(&mut self) {
        for parcel in std::mem::take(&mut self.full) {
            self.hand_on(parcel);
        }
        while let Some(route) = self.filled.pop() {
            let parcel = self.parcels[route].take();
            // A full one has gone before.
            if !parcel.batch.is_empty() {
                self.hand_on(parcel);
            }
        }
        self.own.send();
    }

    fn hand_on(&mut self, parcel: Parcel) {
        match self.inboxes.get(parcel.route) {
            Some(Some(inbox)) => inbox.deliver(parcel),
            Some(None) | None => self.own.take_in(parcel),
        }
    }
}

impl Intake {
    /// For the source of that number. `own` carries what takes no lane of `inboxes`, which has a place
    /// for each route.
    pub fn new(
        source: usize,
        router: Router,
        own: Lane,
        inboxes: Vec<Option<Arc<Inbox>>>,
        credit: Arc<Credit>,
        news: News,
    ) -> Self {
        let (in_flight, ledger) = (Arc::clone(&own.in_flight), Arc::clone(&own.ledger));
        let stop = Arc::clone(&own.stop);
        let parcels = (0..router.places()).map(|route| Parcel::new(route, source)).collect();
        let packer = Packer { own, inboxes, credit, parcels, filled: Vec::new(), full: Vec::new() };
        let (defective, taken) = (Vec::new(), Vec::new());
        Self { source, router, in_flight, ledger, packer, stop, defective, taken, news }
    }

    /// Takes a dead letter: by the route that it took, and by no other.
    pub fn take_letter(
        &mut self,
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
        kafka_topic: Option<&str>,
    ) {
        let route = self.router.route_of_letter(publish.topic, kafka_topic);
        self.packer.pack(route, sequence, received_at_ms, publish);
        self.taken.push((1, true));
    }

    /// A record that stays where it is has its place, too.
    pub fn pass_over(&mut self) {
        self.taken.push((0, true));
    }
}

impl Downstream for Intake {
    fn has_credit(&self, qos: Qos) -> bool {
        self.packer.credit.available(qos)
    }

    fn take(&mut self, sequence: Sequence, received_at_ms: i64, publish: &Publish<'_>) {
        let routes = self.router.routes_of(publish.topic);
        for route in routes {
            self.packer.pack(*route, sequence, received_at_ms, publish);
        }
        self.taken.push((routes.len(), publish.qos != Qos::AtMostOnce));
    }

    fn take_defective(
        &mut self,
        sequence: Sequence,
        received_at_ms: i64,
        publish: &Publish<'_>,
        defect: Defect,
    ) {
        let routes = self.router.routes_of(publish.topic);
        for route in routes {
            let mut parcel = Parcel { defect: Some(defect), ..Parcel::new(*route, self.source) };
            parcel.push(&self.packer.credit, sequence, received_at_ms, publish);
            self.defective.push(parcel);
        }
        self.taken.push((routes.len(), publish.qos != Qos::AtMostOnce));
    }

    fn forward(&mut self) {
        if !self.taken.is_empty() {
            self.in_flight.open(self.source, self.taken.drain(..));
        }
        for parcel in self.defective.drain(..) {
            self.packer.hand_on(parcel);
        }
        self.packer.forward();
    }

    fn let_go(&mut self) {
        self.ledger.let_go(1);
    }

    fn dropped(&mut self) {
        // Once the bridge has given up, the ledger is closed, and may be being read.
        if !self.stop.abandoned() {
            self.ledger.dropped(1);
        }
    }

    fn settled(&mut self, wake: Wake) -> Settled {
        self.in_flight.settled(self.source, wake)
    }

    fn acknowledged(&mut self, messages: u64) {
        self.ledger.acknowledged(messages);
    }

    fn connection_event(&mut self, event: ConnectionEvent) {
        if event.reconnect && matches!(event.outcome, ConnectionOutcome::Connected { .. }) {
            self.ledger.reconnected();
        }
        self.news.tell(event);
    }
}
