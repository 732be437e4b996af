//! Where the source puts messages, and learns what became of them: packs them into parcels, one
//! per lane, and keeps the ledger.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::credit::Credit;
use super::in_flight::{Confirmed, InFlight};
use super::inbox::{Inbox, Parcel};
use crate::message::{ConnectionEvent, ConnectionOutcome, Publish, Qos, Sequence};
use crate::source::Downstream;
use crate::telemetry::Ledger;

/// Implements [`Downstream`] for the bridge.
pub struct Intake {
    inboxes: Vec<Arc<Inbox>>,
    tables: Arc<Vec<Arc<InFlight>>>,
    credit: Arc<Credit>,
    ledger: Arc<Ledger>,
    /// What will go to each lane.
    parcels: Vec<Parcel>,
    confirmed: Confirmed,
    sequences: Vec<Sequence>,
}

impl Intake {
    pub fn new(
        inboxes: Vec<Arc<Inbox>>,
        tables: Arc<Vec<Arc<InFlight>>>,
        credit: Arc<Credit>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let parcels = inboxes.iter().map(|_| Parcel::default()).collect();
        let (confirmed, sequences) = (Confirmed::default(), Vec::new());
        Self { inboxes, tables, credit, ledger, parcels, confirmed, sequences }
    }

    /// Messages of one topic always take the same lane.
    fn lane_of(&self, topic: &str) -> usize {
        match self.parcels.len() {
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
        let parcel = &mut self.parcels[lane];
        self.credit.take(&mut parcel.permit, publish.packed_size(), publish.qos);
        parcel.batch.push(sequence, received_at_ms, publish);
    }

    fn forward(&mut self) {
        for (parcel, inbox) in self.parcels.iter_mut().zip(&self.inboxes) {
            if !parcel.batch.is_empty() {
                self.ledger.received(parcel.batch.len() as u64);
                inbox.deliver(std::mem::take(parcel));
            }
        }
    }

    fn let_go(&mut self) {
        self.ledger.let_go(1);
    }

    fn dropped(&mut self) {
        self.ledger.dropped(1);
    }

    fn confirmed(&mut self) -> &[Sequence] {
        self.sequences.clear();
        for table in self.tables.iter() {
            table.take_confirmed(&mut self.confirmed);
            count(&self.confirmed, &self.ledger);
            self.sequences.extend_from_slice(&self.confirmed.sequences);
        }
        &self.sequences
    }

    fn acknowledged(&mut self, messages: u64) {
        self.ledger.acknowledged(messages);
    }

    fn connection_event(&mut self, event: ConnectionEvent) {
        if event.reconnect && matches!(event.outcome, ConnectionOutcome::Connected { .. }) {
            self.ledger.reconnected();
        }
    }
}

/// Enters in the ledger what a table has confirmed and the source will not collect any more.
pub fn settle(table: &InFlight, ledger: &Ledger) {
    let mut confirmed = Confirmed::default();
    table.take_confirmed(&mut confirmed);
    count(&confirmed, ledger);
}

fn count(confirmed: &Confirmed, ledger: &Ledger) {
    ledger.delivered(confirmed.delivered);
    ledger.dead_lettered(confirmed.dead_lettered);
    ledger.skipped(confirmed.skipped);
}
