// SPDX-License-Identifier: Apache-2.0
//! The two ways of a tunnel, until both have ended or one of them has lost its end.
//!
//! Mechanism: one side's end is passed on; the other way goes on as long as something moves on it. Each way tells when
//! something has moved; nobody looks at a clock but who waits alone.
//! Invariants: what was cut off is told from what was whole; the time in which a client does not read is not silence, since
//! it has a time of its own (`patient`).
//! Depends on: exchange.

use crate::exchange::Broken;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Who broke a way off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Who speaks: nobody knows what should have come.
    Speaker,
    /// Who should hear it.
    Hearer,
}

/// When something moved in a tunnel last.
#[derive(Debug)]
pub(crate) struct Motion {
    begun: Instant,
    /// Milliseconds after the beginning.
    last: AtomicU64,
    /// The client is to take what there is.
    is_telling: AtomicBool,
}

impl Motion {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            is_telling: AtomicBool::new(false),
        }
    }

    /// Something has moved.
    pub(crate) fn moved(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Relaxed);
    }

    /// Waits for the client to take this.
    pub(crate) async fn telling<T>(&self, taken: impl Future<Output = T>) -> T {
        self.is_telling.store(true, Relaxed);
        let taken = taken.await;
        self.is_telling.store(false, Relaxed);
        self.moved();
        taken
    }

    /// Returns when nothing has moved for so long from now on; zero: never.
    async fn stands(&self, most: Duration) {
        self.moved();
        loop {
            let last = self.last.load(Relaxed);
            let end = self
                .begun
                .checked_add(Duration::from_millis(last))
                .and_then(|last| last.checked_add(most));
            let Some(end) = end.filter(|_| !most.is_zero()) else {
                return std::future::pending().await;
            };
            sleep_until(end).await;
            if self.is_telling.load(Relaxed) {
                self.moved();
            } else if self.last.load(Relaxed) == last {
                return;
            }
        }
    }
}

/// Carries both ways: up from the client, down to it. One that goes on alone may stand still for so long.
pub(crate) async fn both(
    up: impl Future<Output = Result<(), Lost>>,
    down: impl Future<Output = Result<(), Lost>>,
    motion: &Motion,
    most: Duration,
) -> Result<(), Broken> {
    let answered = |down: Result<(), Lost>| {
        down.map_err(|lost| match lost {
            Lost::Speaker => Broken::Cut,
            Lost::Hearer => Broken::Gone,
        })
    };
    tokio::pin!(up, down);
    tokio::select! {
        up = &mut up => match up {
            Err(Lost::Speaker) => Err(Broken::Gone),
            // A pod that hears no more may still have something to say.
            Ok(()) | Err(Lost::Hearer) => tokio::select! {
                down = &mut down => answered(down),
                () = motion.stands(most) => Err(Broken::Cut),
            },
        },
        down = &mut down => {
            answered(down)?;
            // The client has all there is for it; what it still says is for the pod.
            tokio::select! {
                _ = &mut up => {}
                () = motion.stands(most) => {}
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::sleep;

    const MOST: Duration = Duration::from_secs(10);

    /// Something moves every so often, so many times.
    async fn moves(motion: &Motion, every: u64, times: u32) {
        for _ in 0..times {
            sleep(Duration::from_secs(every)).await;
            motion.moved();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_way_goes_on_alone_as_long_as_something_moves() {
        let motion = Motion::begin();
        let begin = Instant::now();
        let down = async {
            moves(&motion, 9, 10).await;
            Ok(())
        };
        let ended = both(async { Ok(()) }, down, &motion, MOST).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(begin.elapsed().as_secs(), 90);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_byte_and_from_the_first_end() {
        for quiet_before in [0, 100] {
            let motion = Motion::begin();
            let begin = Instant::now();
            let up = async {
                sleep(Duration::from_secs(quiet_before)).await;
                Ok(())
            };
            let down = async {
                moves(&motion, quiet_before + 4, 1).await;
                pending().await
            };
            let ended = both(up, down, &motion, MOST).await;
            assert!(matches!(ended, Err(Broken::Cut)), "{ended:?}");
            assert_eq!(begin.elapsed().as_secs(), quiet_before + 14);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_is_not_silence() {
        let motion = Motion::begin();
        let begin = Instant::now();
        let down = async {
            motion.telling(sleep(Duration::from_secs(55))).await;
            pending().await
        };
        let ended = both(async { Ok(()) }, down, &motion, MOST).await;
        assert!(matches!(ended, Err(Broken::Cut)), "{ended:?}");
        assert_eq!(begin.elapsed().as_secs(), 65);
    }

    #[tokio::test(start_paused = true)]
    async fn what_broke_is_told_from_what_was_whole() {
        let later = |ended| async move {
            sleep(Duration::from_secs(1)).await;
            ended
        };
        let (speaker, hearer) = (Err(Lost::Speaker), Err(Lost::Hearer));
        for (up, down, expected) in [
            (Ok(()), Ok(()), "Ok(())"),
            (Ok(()), speaker, "Err(Cut)"),
            (Ok(()), hearer, "Err(Gone)"),
            (speaker, Ok(()), "Err(Gone)"),
            (hearer, Ok(()), "Ok(())"),
            (hearer, speaker, "Err(Cut)"),
        ] {
            let motion = Motion::begin();
            let ended = both(async { up }, later(down), &motion, MOST).await;
            assert_eq!(format!("{ended:?}"), expected, "up {up:?}, then down {down:?}");
        }
        for (down, up, expected) in [
            (Ok(()), hearer, "Ok(())"),
            (Ok(()), speaker, "Ok(())"),
            (speaker, Ok(()), "Err(Cut)"),
            (hearer, Ok(()), "Err(Gone)"),
        ] {
            let motion = Motion::begin();
            let ended = both(later(up), async { down }, &motion, MOST).await;
            assert_eq!(format!("{ended:?}"), expected, "down {down:?}, then up {up:?}");
        }
    }
}
