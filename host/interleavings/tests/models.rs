//! No wake is lost, and nothing is counted twice, whatever thread of the path runs when.
#![allow(clippy::expect_used, clippy::panic, reason = "tests: a panic is how a test fails")]

use std::sync::Arc;

use interleavings::account::{Fate, Wake};
use interleavings::bridge::credit::{Credit, OVERHEAD, Permit};
use interleavings::bridge::in_flight::InFlight;
use interleavings::bridge::inbox::{Inbox, Mail, Parcel};
use interleavings::ledger::Ledger;
use interleavings::message::{Publish, Qos};
use interleavings::sync::Notify;
use loom::thread::{self, JoinHandle};

const PUBLISH: Publish<'static> = Publish {
    topic: "t",
    payload: b"",
    qos: Qos::AtLeastOnce,
    retain: false,
    dup: false,
    packet_id: 1,
    properties: None,
};

/// Goes through all orders in which at most three times a thread is interrupted where it could go on; without
/// that limit some models have millions.
fn model(of: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(of);
}

fn join<const N: usize>(threads: [JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().expect("it ends");
    }
}

/// One source.
fn wakes() -> Arc<[Arc<Notify>]> {
    [Arc::default()].into()
}

/// Two parcels give back their credit while a source waits for some.
#[test]
fn credit_that_comes_back_wakes_a_source_that_wants_it() {
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
        model(move || {
            let wakes = wakes();
            let credit = Credit::new(OVERHEAD, Arc::clone(&wakes), None);
            let parcels = [(); 2].map(|()| {
                let mut permit = Permit::default();
                credit.take(&mut permit, 0, qos);
                thread::spawn(move || drop(permit))
            });
            wakes[0].wait_until(|| credit.available(qos));
            join(parcels);
        });
    }
}

/// Two brokers' threads are done with a message each while their source waits for both.
#[test]
fn a_source_learns_that_its_messages_are_settled() {
    for wake in [Wake::Further, Wake::All] {
        model(move || {
            let (wakes, ledger) = (wakes(), Arc::<Ledger>::default());
            let credit = Credit::new(OVERHEAD, Arc::clone(&wakes), None);
            let table = Arc::new(InFlight::new(Arc::clone(&wakes), Arc::clone(&ledger)));
            let mut parcel = Parcel::new(0, 0);
            table.open(0, [(1, wake == Wake::Further); 2].into_iter());
            for sequence in 0..2 {
                parcel.push(&credit, sequence, 0, &PUBLISH);
            }
            let slot = table.insert(&Arc::new(parcel));
            let brokers = [(0, Fate::Delivered), (1, Fate::DeadLettered)].map(|(index, fate)| {
                let table = Arc::clone(&table);
                thread::spawn(move || table.done(slot, index, fate))
            });
            wakes[0].wait_until(|| {
                let settled = table.settled(0, wake);
                if wake == Wake::All { settled.all } else { settled.up_to == 2 }
            });
            wakes[0].wait_until(|| credit.available(Qos::AtLeastOnce));
            join(brokers);
            let counts = ledger.counts();
            assert_eq!(counts.balance(), Ok(()));
            assert_eq!((counts.delivered, counts.dead_lettered, counts.in_flight), (1, 1, 0));
        });
    }
}

/// A message becomes two records, one of which is rejected, while another thread is done with the first.
#[test]
fn a_message_of_several_records_is_counted_once() {
    model(|| {
        let (wakes, ledger) = (wakes(), Arc::<Ledger>::default());
        let credit = Credit::new(1_000, Arc::clone(&wakes), None);
        let table = Arc::new(InFlight::new(Arc::clone(&wakes), Arc::clone(&ledger)));
        let mut parcel = Parcel::new(0, 0);
        table.open(0, [(1, true)].into_iter());
        parcel.push(&credit, 0, 0, &PUBLISH);
        let slot = table.insert(&Arc::new(parcel));
        table.split(slot, 0, 2);
        let records = [Fate::Delivered, Fate::DeadLettered].map(|fate| {
            let table = Arc::clone(&table);
            thread::spawn(move || table.done(slot, 0, fate))
        });
        wakes[0].wait_until(|| table.settled(0, Wake::Further).up_to == 1);
        join(records);
        let counts = ledger.counts();
        assert_eq!((counts.delivered, counts.dead_lettered, counts.in_flight), (0, 1, 0));
    });
}

/// Two sources put a parcel each into an inbox, which is closed when the lane has them.
#[test]
fn a_lane_gets_every_parcel_and_learns_of_the_end() {
    model(|| {
        let inbox = Arc::<Inbox>::default();
        let sources = [0, 1].map(|source| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.deliver(Parcel::new(0, source)))
        });
        let mut seen: Vec<usize> = (0..2)
            .map(|_| match inbox.next(None) {
                Mail::Parcel(parcel) => parcel.source,
                other => panic!("{other:?} in place of a parcel"),
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        let closer = Arc::clone(&inbox);
        let closer = thread::spawn(move || closer.close());
        assert!(matches!(inbox.next(None), Mail::Closed));
        join(sources);
        join([closer]);
    });
}
