//! Kafka fails.

use super::Stage;
use crate::relay::{Flow, Way};
use crate::{SOON, eventually};

pub fn kill(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times(), kill_once, 300..1_500);
}

pub fn kill_once(stage: &mut Stage) {
    stage.kafka().kill();
    stage.wait(100..2_000);
    stage.kafka().start_again();
}

pub fn term(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times(), term_once, 300..1_500);
}

pub fn term_once(stage: &mut Stage) {
    stage.kafka().stop();
    stage.wait(100..2_000);
    stage.kafka().start_again();
}

/// Longer than requests, connections and keep-alives live, unless the round is a quick one.
pub fn away(stage: &mut Stage) {
    let time = if stage.scene.is_quick() { 12_000..15_000 } else { 150_000..200_000 };
    stage.kafka().kill();
    stage.wait(time);
    stage.kafka().start_again();
}

pub fn absent(stage: &mut Stage) {
    for _ in 0..stage.scene.times() {
        stage.stop_host();
        stage.kafka().kill();
        stage.start_host();
        stage.load(500..3_000);
        stage.kafka().start_again();
        stage.load(300..1_500);
    }
}

pub fn kill_swallow(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times(), kill_swallow_once, 500..1_500);
}

pub fn kill_swallow_once(stage: &mut Stage) {
    stage.kafka_relay().set(Way::ToClient, Flow::Swallow);
    stage.load(100..800);
    stage.kafka().kill();
    stage.kafka_relay().heal();
    stage.kafka().start_again();
}

pub fn stop(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times(), stop_once, 300..1_500);
}

pub fn stop_once(stage: &mut Stage) {
    let longest = if stage.scene.is_quick() { 4_000 } else { 15_000 };
    stage.kafka().pause();
    stage.wait(500..longest);
    stage.kafka().resume();
}

pub fn rolling_kills(stage: &mut Stage) {
    let rounds = if stage.scene.is_quick() { 1 } else { 3 };
    for number in 0..stage.cluster().nodes() * rounds {
        let number = number % stage.cluster().nodes();
        stage.cluster().node(number).kill();
        stage.load(500..1_500);
        stage.cluster().node(number).start_again();
        stage.load(500..1_500);
    }
}

/// A limit on the size of files takes the place of a small disk, which only root could make.
pub fn disk_full(stage: &mut Stage) {
    let room = stage.random.within(50_000..400_000);
    let largest = stage.kafka().largest_log(&stage.topic);
    stage.kafka().limit_files(Some(largest + room));
    eventually("Kafka gives up when it cannot write", SOON, || {
        (!stage.kafka().is_running()).then_some(())
    });
    stage.load(300..2_000);
    stage.kafka().start_again();
}
