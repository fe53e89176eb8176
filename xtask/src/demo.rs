// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask demo`: what Sluice does, shown on this machine with real traffic.
//!
//! Mechanism: what is missing is installed and built, then `story` plays a few services on `sluice standalone`, or `top`
//! shows a server counted live.
//! Invariants: whatever happens, Ctrl-C too, what was started ends and what was made is removed; a demo that sees something
//! else than it tells fails.
//! Depends on: setup, object; root.

mod interrupt;
mod story;
mod top;

use crate::object::{self, Variant};
use crate::place;
use crate::setup::{self, Purpose};
use anyhow::{Result, bail, ensure};
use interrupt::Interrupt;
use std::path::PathBuf;

/// Options of `demo`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    show: Option<Show>,
    /// This program instead of one that is built now
    #[arg(long, value_name = "PATH", global = true)]
    sluice: Option<PathBuf>,
    /// Stay after the story, to try things by hand, until Ctrl-C
    #[arg(long)]
    stay: bool,
    /// Leave kubectl alone, and change objects by HTTP
    #[arg(long)]
    no_kubectl: bool,
}

#[derive(clap::Subcommand)]
enum Show {
    /// A server under load, counted live, through a burst and a kill -9 of the counter
    Top,
}

/// Builds what is needed and shows it.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !place::is_root() {
        bail!("the demo loads programs into the kernel, which needs root: sudo -E cargo xtask demo");
    }
    setup::need(Purpose::Demo)?;
    let sluice = program(options)?;
    let interrupt = Interrupt::expect()?;
    match options.show {
        Some(Show::Top) => top::show_it(&sluice, &interrupt),
        None => story::play(&story::Manner {
            sluice: &sluice,
            stays: options.stay,
            kubectl: place::program("kubectl").filter(|_| !options.no_kubectl),
            interrupt: &interrupt,
        }),
    }
}

fn program(options: &Options) -> Result<PathBuf> {
    if let Some(named) = &options.sluice {
        ensure!(named.is_file(), "--sluice {}: there is no such file", named.display());
        return Ok(std::path::absolute(named)?);
    }
    object::build(Variant::Plain)?;
    object::daemon(true)?;
    Ok(place::target().join("release/sluice"))
}
