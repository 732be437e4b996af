pub mod config;
pub mod message;
pub mod telemetry;
pub mod transform;
