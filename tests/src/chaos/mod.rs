//! Fault injection: `host` carries a load between real servers while one of them, the network or
//! `host` itself is disturbed by a seeded schedule; then everything that Kafka holds is compared with
//! what the MQTT server had confirmed to the publisher.
//!
//! `make chaos` runs it at length, `make test` a quick round of each fault. A fault is an entry in
//! [`faults::FAULTS`]: what is different from the [`scene`] of every round, and a function that
//! disturbs it and puts it in order again.

pub mod checker;
pub mod faults;
pub mod message;
pub mod random;
pub mod report;
pub mod round;
pub mod scene;
pub mod servers;
pub mod stage;
pub mod tap;
pub mod traffic;
pub mod watch;
