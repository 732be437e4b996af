pub mod backoff;
pub mod bridge;
pub mod message;
pub mod reject;
pub mod sink;
pub mod source;
pub mod telemetry;
pub mod transform;
