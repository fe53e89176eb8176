// SPDX-License-Identifier: Apache-2.0
//! The binary: command line and wiring.
//!
//! Problem: one program for people, and (by other names) plugin of `kubectl` and `kn`.
//! Mechanism: `cli` reads arguments and environment; each command is one module with one `run`; whatever goes wrong comes
//! back as a `Failure`, which is a message, an advice and an exit code.
//! Invariants: the environment is read in `cli` only; stdout carries results, stderr everything else.
//! Depends on: api, kernel, life, logic, proxy, standalone.

mod cgroup;
mod check;
mod cleanup;
mod cli;
mod failure;
mod figures;
mod handover;
mod logs;
mod node;
mod output;
mod page;
mod progress;
mod proxy;
mod sample;
mod signals;
mod simulate;
mod standalone;
mod top;
mod validate;
mod wait;
mod words;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command};
use nix::sys::signal::{SigSet, Signal};

/// The C library's takes a fifth more of the time in which services become ready, and more memory; how this one behaves
/// stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Whoever started us may have blocked the signals that end us; that is inherited, and would make us deaf.
fn hear_signals() {
    let ending = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    // It fails for no set of valid signals.
    let _ = ending.thread_unblock();
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|word| word == ::standalone::runner::COMMAND)
    {
        // On the way to every container: nothing else is looked at.
        return ::standalone::runner::start(&arguments.collect::<Vec<_>>());
    }
    hear_signals();
    let cli = Cli::parse_from(cli::arguments());
    let looks = cli::Looks::of_environment();
    let done = match cli.command {
        Command::Top(arguments) => top::run(arguments, looks),
        Command::Check(arguments) => check::run(&arguments, looks),
        Command::Cleanup(arguments) => cleanup::run(&arguments),
        Command::Logs(arguments) => logs::run(&arguments),
        Command::Proxy(arguments) => proxy::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Standalone(arguments) => standalone::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments, looks),
        Command::Validate(arguments) => validate::run(&arguments),
    };
    match done {
        Ok(code) => code.into(),
        Err(failure) => {
            failure.tell(looks.colour_errors);
            failure.exit.into()
        }
    }
}
