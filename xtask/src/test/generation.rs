// SPDX-License-Identifier: Apache-2.0
//! The tests of another ABI generation, for upgrades and downgrades under load.
//!
//! Mechanism: the same test binaries, compiled with the next ABI number and the object of that number into a target
//! folder of their own; the tests start them as the other daemon. They are told where by the environment.
//! Depends on: object, built.

use crate::built::{self, Built};
use crate::object::{self, Variant};
use crate::{place, process};
use anyhow::Result;
use std::path::PathBuf;

const NEXT: u64 = 2;

/// Programs of the other generation.
pub(crate) struct Other {
    built: Built,
}

impl Other {
    /// Builds the object and the test binaries of the next ABI number.
    pub(crate) fn build() -> Result<Self> {
        let object = object::build(Variant::Abi(NEXT))?.path;
        let mut cargo = process::cargo();
        cargo
            .args(["test", "--no-run", "--package", "kernel", "--package", "tests"])
            .args(["--test", "root", "--test", "netns"])
            .env("CARGO_TARGET_DIR", place::target().join(format!("abi{NEXT}")))
            .env("SLUICE_ABI", NEXT.to_string())
            .env("SLUICE_BPF_OBJECT", object);
        let built = built::by(&mut cargo)?;
        Ok(Self { built })
    }

    /// The names by which tests look for them.
    pub(crate) fn environment(&self) -> Result<[(&'static str, PathBuf); 2]> {
        Ok([
            ("SLUICE_TEST_OTHER", self.built.program("root")?),
            ("SLUICE_ABI2", self.built.program("netns")?),
        ])
    }
}
