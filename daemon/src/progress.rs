// SPDX-License-Identifier: Apache-2.0
//! Saying that something is still going on.
//!
//! Mechanism: work that takes longer than two seconds says so on stderr, once every five.
//! Depends on: nothing.

use std::{sync::mpsc, thread, time::Duration};

const PATIENCE: Duration = Duration::from_secs(2);
const REMINDER: Duration = Duration::from_secs(5);

/// Does `work`, saying `what` when it takes long.
pub(crate) fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut patience = PATIENCE;
            let mut waited = Duration::ZERO;
            while is_done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                waited += patience;
                eprintln!("{what} … {} s", waited.as_secs());
                patience = REMINDER;
            }
        });
        let result = work();
        drop(done);
        result
    })
}
