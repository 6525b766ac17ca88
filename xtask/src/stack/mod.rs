//! `docker-compose.yaml` on a real engine, with or without a container registry.

mod ask;
mod client;
pub(crate) mod engine;
mod firewall;
pub(crate) mod hurried;
pub(crate) mod images;
pub(crate) mod objectives;
mod own;
pub(crate) mod panels;
pub(crate) mod pipelines;
pub(crate) mod project;
pub(crate) mod real;
pub(crate) mod spans;
