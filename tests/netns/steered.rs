// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy` with its kernel part: direct and buffered clients, flips, counts, restarts (design 3.3, 4.2).

mod balance;
mod counts;
mod flips;
mod origin;
mod restart;

use tests::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    [
        flips::cases(),
        origin::cases(),
        counts::cases(),
        balance::cases(),
        restart::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One revision `blue` with those pods, and a target of it.
fn blue(pods: &str, mode: &str) -> String {
    format!(
        "revisions: {{blue: {{pods: {pods}}}}}\nroutes: [{{hosts: [blue.example.com], to: {{blue: 100}}}}]\n\
         targets: [{{address: '10.96.0.1:80', to: blue, mode: {mode}}}]\n"
    )
}
