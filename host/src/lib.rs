//! The parts of the program `host`, which carries MQTT messages into Kafka.
//!
//! The life of a message reads top to bottom: [`source`], [`bridge`], [`transform`] with
//! [`plugin`]s in front, [`sink`]. It is a library for the program's own tests and nobody else's.

mod account;
pub mod backoff;
pub mod bridge;
pub mod case;
pub mod checkup;
pub mod config;
pub mod control;
#[cfg(test)]
mod corpus;
pub mod demo;
#[cfg(test)]
mod dice;
pub mod filter;
mod hook;
pub mod kafka_topic;
pub mod ledger;
pub mod message;
mod numbered;
pub mod output;
pub mod plugin;
mod print;
mod progress;
pub mod reject;
pub mod scaffold;
pub mod setup;
pub mod sink;
pub mod source;
pub mod swap;
mod sync;
pub mod telemetry;
pub mod transform;
pub mod workbench;
