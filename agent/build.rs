//! Hands the checked-in kernel side to the agent, and refuses one that was built from other sources.

#[path = "../xtask/src/source_hash.rs"]
mod source_hash;

use std::env;
use std::path::Path;

/// At build time: an object to embed as it is, for work on the kernel side.
const OVERRIDE: &str = "SIDELIGHT_EBPF_OBJECT";

fn main() {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    match object() {
        Ok(path) => println!("cargo::rustc-env=SIDELIGHT_EBPF_OBJECT={path}"),
        Err(reason) => println!(
            "cargo::error={reason}: run `cargo xtask build-ebpf` (or set {OVERRIDE} to an object to embed as it is)"
        ),
    }
}

fn object() -> Result<String, String> {
    if let Ok(path) = env::var(OVERRIDE) {
        println!("cargo::rerun-if-changed={path}");
        return Ok(path);
    }
    let manifest = env::var("CARGO_MANIFEST_DIR").map_err(|error| format!("CARGO_MANIFEST_DIR: {error}"))?;
    let arch =
        env::var("CARGO_CFG_TARGET_ARCH").map_err(|error| format!("CARGO_CFG_TARGET_ARCH: {error}"))?;
    let root = Path::new(&manifest)
        .parent()
        .ok_or("the agent's folder has no parent")?;
    let object = root.join("agent-ebpf/prebuilt").join(format!("{arch}.o"));
    for input in source_hash::INPUTS
        .iter()
        .map(|input| root.join(input))
        .chain([object.clone(), root.join(source_hash::RECORD)])
    {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    if !object.exists() {
        return Err(format!(
            "there is no kernel side for {arch} in agent-ebpf/prebuilt"
        ));
    }
    let current = source_hash::current(root)
        .map_err(|error| format!("agent-ebpf's sources cannot be read: {error}"))?;
    match source_hash::recorded(root) {
        Some(recorded) if recorded == current => Ok(object.display().to_string()),
        Some(_) => {
            Err("the objects in agent-ebpf/prebuilt were built from other sources than these".to_owned())
        }
        None => Err(format!(
            "{} does not say what the objects beside it were built from",
            source_hash::RECORD
        )),
    }
}
