//! The network fails, on one side of `host` or the other.

use std::time::Duration;

use super::Stage;
use crate::relay::{Flow, Relay, Way};

/// What a slow network does, and one that is well.
const SLOW: [fn(&Relay); 3] = [|_| {}, late, narrow];

/// What a bad network does.
const FAULTS: [fn(&Relay); 8] = [
    |relay| relay.cut_all(),
    |relay| {
        relay.refuse(true);
        relay.cut_all();
    },
    |relay| relay.set(Way::ToClient, Flow::Swallow),
    |relay| relay.set(Way::ToServer, Flow::Swallow),
    |relay| both(relay, Flow::Hold),
    |relay| both(relay, Flow::Pieces(1, Duration::ZERO)),
    late,
    narrow,
];

fn late(relay: &Relay) {
    both(relay, Flow::Late(Duration::from_millis(60)));
}

fn narrow(relay: &Relay) {
    both(relay, Flow::Pieces(4_096, Duration::from_millis(20)));
}

fn both(relay: &Relay, flow: Flow) {
    relay.set(Way::ToServer, flow);
    relay.set(Way::ToClient, flow);
}

pub fn to_kafka(stage: &mut Stage) {
    all(stage, Stage::kafka_relay);
}

pub fn to_mqtt(stage: &mut Stage) {
    all(stage, |stage| &stage.mqtt);
}

/// Makes one of the networks slow, whose relay it gives.
pub fn slow(stage: &mut Stage) -> fn(&Stage) -> &Relay {
    let relays: [fn(&Stage) -> &Relay; 2] = [Stage::kafka_relay, |stage| &stage.mqtt];
    let relay = relays[stage.random.within(0..2) as usize];
    let fault = stage.random.within(0..SLOW.len() as u64) as usize;
    SLOW[fault](relay(stage));
    relay
}

/// All of them, in another order each time.
fn all(stage: &mut Stage, relay: fn(&Stage) -> &Relay) {
    let mut faults = FAULTS;
    let rounds = if stage.scene.is_quick() { 1 } else { 3 };
    for _ in 0..rounds {
        stage.random.shuffle(&mut faults);
        for fault in faults {
            inject(stage, relay, fault);
        }
    }
}

pub fn one_to_kafka(stage: &mut Stage) {
    let fault = stage.random.within(0..FAULTS.len() as u64) as usize;
    inject(stage, Stage::kafka_relay, FAULTS[fault]);
}

pub fn one_to_mqtt(stage: &mut Stage) {
    let fault = stage.random.within(0..FAULTS.len() as u64) as usize;
    inject(stage, |stage| &stage.mqtt, FAULTS[fault]);
}

fn inject(stage: &mut Stage, relay: fn(&Stage) -> &Relay, fault: fn(&Relay)) {
    fault(relay(stage));
    stage.load(300..1_000);
    relay(stage).heal();
    stage.load(200..500);
}
