//! Kafka refuses records, or its topics change.

use super::Stage;
use crate::kafka::dead_letters;

/// The messages are the fault.
pub fn nothing_more(stage: &mut Stage) {
    let messages = if stage.scene.is_quick() { 4_000 } else { 20_000 };
    stage.load(messages..messages * 2);
}

pub fn lower_limit(stage: &mut Stage) {
    stage.load(500..1_000);
    let topic = stage.topic.clone();
    stage.kafka().configure_topic(&topic, &[("max.message.bytes", "4000")]);
    nothing_more(stage);
}

pub fn recreate_topic(stage: &mut Stage) {
    for _ in 0..stage.scene.times() {
        stage.delete_topic();
        stage.load(200..3_000);
        stage.create_topic();
        stage.load(500..1_500);
    }
}

pub fn add_partitions(stage: &mut Stage) {
    let mut partitions = stage.scene.partitions as usize;
    for _ in 0..stage.scene.times() {
        partitions += stage.random.within(1..4) as usize;
        let topic = stage.topic.clone();
        stage.kafka().add_partitions(&topic, partitions);
        // Longer than Kafka's client takes to see them.
        stage.load(2_000..6_000);
    }
}

pub fn no_dead_letter_topic(stage: &mut Stage) {
    let topic = dead_letters(&stage.topic);
    stage.delete_dead_letters();
    stage.load(2_000..4_000);
    stage.kafka().create_topic(&topic, 1, &[]);
    nothing_more(stage);
}
