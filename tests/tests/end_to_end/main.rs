//! The whole program against real brokers: one file per group of behaviours.
//!
//! All of it is one binary, so that it links once and the tests share their Kafka brokers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests: a panic is how a test fails"
)]

mod acknowledgement;
mod backlog;
mod bad_packets;
mod broken;
mod clock;
mod config;
mod connecting;
mod connections;
mod delivery;
mod demo;
mod deserializers;
mod exactly_once;
mod harness;
mod hooks;
mod hostile;
mod idle;
mod kafka_access;
mod kafka_rights;
mod outages;
mod oversized;
mod packet_ids;
mod partitions;
mod payloads;
mod plugins;
mod print;
mod reaching;
mod readers;
mod redelivery;
mod refusals;
mod rejections;
mod routes;
mod sessions;
mod setters;
mod shutdown;
mod swapping;
mod tls;
mod transformers;
mod usage;
mod websocket;
mod workbench;
