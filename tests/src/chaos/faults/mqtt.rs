//! The MQTT server fails.

use super::Stage;

/// More than there are packet ids.
const BACKLOG: u64 = 68_000;

pub fn kill(stage: &mut Stage) {
    for _ in 0..stage.scene.times() * 2 {
        kill_once(stage);
        stage.load(500..2_500);
    }
}

pub fn kill_once(stage: &mut Stage) {
    stage.mosquitto.kill();
    stage.wait(0..1_000);
    stage.mosquitto.start_again();
}

pub fn restore(stage: &mut Stage) {
    for _ in 0..stage.scene.times() {
        restore_once(stage);
        stage.load(500..2_500);
    }
}

pub fn restore_once(stage: &mut Stage) {
    let snapshot = stage.mosquitto.snapshot();
    stage.load(100..2_000);
    stage.mosquitto.kill();
    stage.mosquitto.restore(&snapshot);
    stage.mosquitto.start_again();
}

pub fn stop(stage: &mut Stage) {
    for _ in 0..stage.scene.times() * 2 {
        stop_once(stage);
        stage.load(500..2_500);
    }
}

pub fn stop_once(stage: &mut Stage) {
    stage.mosquitto.stop();
    stage.wait(0..1_000);
    stage.mosquitto.start_again();
}

pub fn backlog(stage: &mut Stage) {
    stage.stop_host();
    stage.traffic.set_rate(100_000);
    stage.load(BACKLOG..BACKLOG + 2_000);
    stage.traffic.set_rate(stage.scene.per_second);
    stop_once(stage);
    stage.start_host();
}
