//! `docker-compose.yaml` on a real engine, without any container registry.

pub(crate) mod engine;
mod firewall;
pub(crate) mod hurried;
pub(crate) mod images;
pub(crate) mod objectives;
pub(crate) mod project;
pub(crate) mod spans;
