//! `host` itself is disturbed.

use std::time::Duration;

use super::Stage;
use crate::chaos::scene::{Duplicates, Scene};
use crate::kafka::dead_letters;
use crate::process::Stream;
use crate::relay::{Flow, Way};
use crate::{SOON, eventually};

pub fn kill(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times() * 2, kill_once, 100..2_000);
}

pub fn kill_once(stage: &mut Stage) {
    stage.kill_host();
    stage.wait(0..300);
    stage.start_host();
}

/// Where a message is when `host` dies: what its relays hold says that it has got there, and that it
/// gets no further.
const POINTS: [fn(&mut Stage); 5] = [received, sent, confirmed, rejected, dead_lettered];

/// No record leaves.
fn received(stage: &mut Stage) {
    stage.kafka_relay().set(Way::ToServer, Flow::Hold);
    stage.load(50..500);
}

/// Kafka has records, and `host` does not know.
fn sent(stage: &mut Stage) {
    stage.kafka_relay().set(Way::ToClient, Flow::Hold);
    stage.load(50..500);
}

/// `host` knows, and the MQTT server does not.
fn confirmed(stage: &mut Stage) {
    stage.mqtt.set(Way::ToServer, Flow::Hold);
    stage.load(50..500);
}

/// Kafka has refused a record, and does not have its dead letter.
fn rejected(stage: &mut Stage) {
    dead_letter(stage, Way::ToServer);
}

/// Kafka has a dead letter, and `host` does not know.
fn dead_lettered(stage: &mut Stage) {
    dead_letter(stage, Way::ToClient);
}

/// Holds what goes this way from the next dead letter on.
fn dead_letter(stage: &mut Stage, way: Way) {
    let topic = dead_letters(&stage.topic);
    // The size of a request is before its kind; 0 is Produce.
    let is_produced = move |request: &[u8]| {
        request.get(4..6) == Some(&[0, 0])
            && request.windows(topic.len()).any(|name| name == topic.as_bytes())
    };
    stage.kafka_relay().hold_after(is_produced, way);
    eventually("a dead letter leaves", SOON, || stage.kafka_relay().holds(way).then_some(()));
}

pub fn kill_at_points(stage: &mut Stage) {
    let rounds = if stage.scene.is_quick() { 1 } else { 5 };
    let mut points = POINTS;
    for _ in 0..rounds {
        stage.random.shuffle(&mut points);
        for die_at in points {
            stage.host().wait_until_ready();
            die_at(stage);
            stage.kill_host();
            stage.kafka_relay().heal();
            stage.mqtt.heal();
            stage.start_host();
            stage.load(200..800);
        }
    }
}

pub fn stop(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times() * 2, stop_once, 100..2_000);
}

pub fn stop_once(stage: &mut Stage) {
    stage.host().wait_until_ready();
    stage.stop_host();
    stage.wait(0..300);
    stage.start_host();
}

/// Beyond the time after which the MQTT server hangs up, unless the round is a quick one.
pub fn freeze(stage: &mut Stage) {
    let longest = if stage.scene.is_quick() { 3_000 } else { 60_000 };
    for _ in 0..stage.scene.times() {
        stage.pause_host();
        stage.wait(500..longest);
        stage.resume_host();
        stage.load(300..1_500);
    }
}

pub fn take_over(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times() * 2, |stage| stage.take_over(), 100..1_500);
}

pub fn kill_in_outage(stage: &mut Stage) {
    stage.repeatedly(stage.scene.times(), kill_in_outage_once, 500..1_500);
}

pub fn kill_in_outage_once(stage: &mut Stage) {
    stage.kafka().kill();
    stage.load(100..1_000);
    kill_once(stage);
    stage.load(100..1_000);
    stage.kafka().start_again();
}

pub fn stop_in_outage(stage: &mut Stage) {
    for _ in 0..stage.scene.times() {
        stage.kafka().pause();
        stage.load(100..1_000);
        stage.stop_host();
        stage.start_host();
        stage.load(100..1_000);
        stage.kafka().resume();
        stage.load(500..1_500);
    }
}

/// A hundred versions, unless the round is a quick one.
pub fn change_plugin_and_kill(stage: &mut Stage) {
    let rounds = if stage.scene.is_quick() { 2 } else { 25 };
    for _ in 0..rounds {
        stage.host().wait_until_ready();
        stage.change_plugin();
        stage.host().wait_for_line("a version takes over", |line| line.contains("takes over"));
        // The last one may be at any stage of its coming when host dies.
        for _ in 0..3 {
            stage.change_plugin();
            stage.load(1..500);
        }
        kill_once(stage);
    }
}

pub fn limit_descriptors(stage: &mut Stage) {
    for _ in 0..stage.scene.times() {
        let count = stage.random.within(10..30);
        stage.host().limit_descriptors(Some(count));
        stage.mqtt.cut_all();
        stage.load(500..3_000);
        stage.host().limit_descriptors(Some(1_024));
        stage.load(500..1_500);
    }
}

/// It is started once more then, and need not have been able to write its last line.
pub fn is_stopped_while_stuck(scene: &mut Scene) {
    scene.shutdown_timeout = Duration::from_secs(3);
    scene.duplicates = Duplicates::Always;
    scene.log_is_lost = true;
}

/// Enough to fill a pipe in a second or two.
pub fn much_log(scene: &mut Scene) {
    scene.arguments.extend(["-X".to_owned(), "debug=msg".to_owned()]);
    scene.arguments.push("--log=trace".to_owned());
}

pub fn stdout_stuck(stage: &mut Stage) {
    stuck(stage, Stream::Out);
}

pub fn stderr_stuck(stage: &mut Stage) {
    stuck(stage, Stream::Err);
}

fn stuck(stage: &mut Stage, stream: Stream) {
    stage.host().hold(stream);
    let messages = if stage.scene.is_quick() { 4_000 } else { 40_000 };
    let before = stage.tap.acknowledged_count();
    stage.load(messages..messages * 2);
    let carried = stage.tap.acknowledged_count() - before;
    stage.expect_at_least(carried, messages as usize / 2, "while nobody read");
    stage.stop_host();
    stage.start_host();
}

pub fn stdout_closed(stage: &mut Stage) {
    stage.host().drop_reader(Stream::Out);
    super::records::nothing_more(stage);
}

pub fn stderr_closed(stage: &mut Stage) {
    stage.host().drop_reader(Stream::Err);
    super::records::nothing_more(stage);
}
