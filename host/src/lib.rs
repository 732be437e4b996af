pub mod message;
pub mod transform;
