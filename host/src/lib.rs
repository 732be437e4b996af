pub mod message;
pub mod plugin;
