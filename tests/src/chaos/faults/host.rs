//! `host` itself is disturbed.

use std::time::Duration;

use super::Stage;
use crate::chaos::scene::{Duplicates, Scene};
use crate::process::Stream;

pub fn kill(stage: &mut Stage) {
    for _ in 0..stage.scene.times() * 2 {
        kill_once(stage);
        stage.load(100..2_000);
    }
}

pub fn kill_once(stage: &mut Stage) {
    stage.kill_host();
    stage.wait(0..300);
    stage.start_host();
}

pub fn kill_in_outage(stage: &mut Stage) {
    for _ in 0..stage.scene.times() {
        kill_in_outage_once(stage);
        stage.load(500..1_500);
    }
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

pub fn change_plugin_and_kill(stage: &mut Stage) {
    for _ in 0..stage.scene.times() {
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

pub fn stderr_closed(stage: &mut Stage) {
    stage.host().drop_reader(Stream::Err);
    super::records::nothing_more(stage);
}
