// SPDX-License-Identifier: Apache-2.0
//! Finds the BPF object, never builds it.
//!
//! Problem: contributors without the eBPF toolchain must be able to build everything else.
//! Mechanism: `SLUICE_BPF_OBJECT`, else `target/bpf/sluice.o` of the workspace; when there is none, `cfg(no_bpf_object)`
//! makes the loader ask for a path at run time.
//! Depends on: nothing.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=SLUICE_BPF_OBJECT");
    let object = env::var_os("SLUICE_BPF_OBJECT")
        .map(PathBuf::from)
        .or_else(built_object);
    let Some(object) = object else {
        println!("cargo::rustc-cfg=no_bpf_object");
        return;
    };
    println!("cargo::rerun-if-changed={}", object.display());
    match object.canonicalize() {
        Ok(path) => println!("cargo::rustc-env=SLUICE_BPF_OBJECT_FOUND={}", path.display()),
        Err(_) => println!("cargo::rustc-cfg=no_bpf_object"),
    }
}

/// Where `cargo xtask build` puts the object.
fn built_object() -> Option<PathBuf> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    Some(manifest.ancestors().nth(2)?.join("target/bpf/sluice.o"))
}
