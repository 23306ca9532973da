//! The EmotionVisualizer service: its features put together into one router, and the commands of its program.

pub mod app;
mod connections;
mod cors;
mod documents;
mod handover;
mod health;
pub mod healthcheck;
mod metrics;
pub mod migrate;
pub mod serve;
mod signals;
pub mod websockets;
