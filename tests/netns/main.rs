// SPDX-License-Identifier: Apache-2.0
//! The suite of truth: every case over real sockets between network namespaces.
//!
//! `cargo test -p tests --test netns -- NAME`; `SLUICE_LONG=1` for all seeds, `SLUICE_DEBUG=1` for a way in.

mod connect;
mod faults;
mod handshake;
mod http1;
mod http2;
mod life;
mod proxied;
mod redirect;
mod slots;
mod steered;
mod tools;

use std::process::ExitCode;

use tests::role::{self, Job};
use tests::{counter, redirect as crossing, steered as steering, suite, truth};

const JOBS: &[(&str, Job)] = &[
    ("serve", truth::serve),
    ("daemon", counter::daemon),
    ("dial", crossing::dial),
    ("hear", crossing::hear),
    ("steer", crossing::steer),
    ("steered-app", steering::app),
    ("steered-client", steering::client),
];

fn main() -> ExitCode {
    role::play_if_asked(JOBS);
    let mut cases = Vec::new();
    cases.extend(http1::cases());
    cases.extend(http2::cases());
    cases.extend(connect::cases());
    cases.extend(faults::cases());
    cases.extend(handshake::cases());
    cases.extend(life::cases());
    cases.extend(proxied::cases());
    cases.extend(redirect::cases());
    cases.extend(slots::cases());
    cases.extend(steered::cases());
    cases.extend(tools::cases());
    suite::main(cases)
}
