// SPDX-License-Identifier: Apache-2.0
//! Redirection at connect (design section 3.3): who answers says where a connection went.

mod choice;
mod flips;
mod generations;
mod neighbours;
mod probes;
mod reach;
mod room;
mod stale;

use tests::suite::Case;

pub(crate) fn cases() -> Vec<Case> {
    [
        reach::cases(),
        choice::cases(),
        flips::cases(),
        generations::cases(),
        room::cases(),
        stale::cases(),
        neighbours::cases(),
        probes::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
