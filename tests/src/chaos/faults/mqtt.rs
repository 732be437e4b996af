//! The MQTT server fails.

use super::Stage;
use crate::{A_WHILE, eventually};

/// What mosquitto lets be unacknowledged, in both directions, unless it is told otherwise.
const WINDOW: usize = 20;

/// More than there are packet ids.
const BACKLOG: u64 = 68_000;

pub fn kill(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times() * 2, kill_once, 500..2_500);
}

pub fn kill_once(stage: &mut Stage) {
    stage.mosquitto.kill();
    stage.wait(0..1_000);
    start_again(stage);
}

fn start_again(stage: &mut Stage) {
    stage.tap.server_is_gone();
    stage.mosquitto.start_again();
}

pub fn restore(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times(), restore_once, 500..2_500);
}

pub fn restore_once(stage: &mut Stage) {
    let snapshot = stage.mosquitto.snapshot();
    stage.load(100..2_000);
    stage.mosquitto.kill();
    stage.mosquitto.restore(&snapshot);
    start_again(stage);
}

pub fn stop(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times() * 2, stop_once, 500..2_500);
}

pub fn stop_once(stage: &mut Stage) {
    stage.mosquitto.stop();
    stage.wait(0..1_000);
    start_again(stage);
}

/// Publishes more messages than there are packet ids.
fn pile_up(stage: &mut Stage) {
    stage.traffic.set_rate(100_000);
    stage.load(BACKLOG..BACKLOG + 2_000);
    stage.traffic.set_rate(stage.scene.per_second);
}

pub fn backlog(stage: &mut Stage) {
    stage.stop_host();
    pile_up(stage);
    stage.traffic.set_window(WINDOW);
    stage.mosquitto.configure("max_inflight_messages", WINDOW);
    stop_once(stage);
    stage.start_host();
}

pub fn ids_in_use(stage: &mut Stage) {
    stage.kafka().pause();
    pile_up(stage);
    eventually("mosquitto gives packet ids twice", A_WHILE, || {
        (stage.tap.ids_in_use() > 0).then_some(())
    });
    stage.kafka().resume();
}
