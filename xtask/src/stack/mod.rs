//! `docker-compose.yaml` on a real engine, without any container registry.

mod ask;
pub(crate) mod engine;
mod firewall;
pub(crate) mod hurried;
pub(crate) mod images;
pub(crate) mod objectives;
pub(crate) mod panels;
pub(crate) mod pipelines;
pub(crate) mod project;
pub(crate) mod spans;
