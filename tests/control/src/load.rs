// SPDX-License-Identifier: Apache-2.0
//! A data plane that counts what a scenario says, and runs every programme at once unless it is stopped.
//!
//! Mechanism: the number in flight is set; its integral grows with the time of day, as the kernel's does.
//! Depends on: control (live, gateway).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control::gateway::Programme;
use control::key::Key;
use control::live::{Bursts, Live, LivePod, Load};
use logic::kpa::{Moment, Reading};
use tokio::sync::{oneshot, watch};

/// The data plane of a scenario.
pub(crate) struct Traffic {
    state: Mutex<State>,
    bursts: Bursts,
    programmed: watch::Sender<u64>,
    /// Where the next one who asks for pods waits.
    gate: Mutex<Option<Gate>>,
}

struct Gate {
    reached: oneshot::Sender<()>,
    opened: mpsc::Receiver<()>,
}

#[derive(Default)]
struct State {
    revisions: HashMap<Key, Counted>,
    pods: HashMap<Key, Vec<LivePod>>,
    refuses: bool,
    is_stuck: bool,
    offered: u64,
}

/// What is counted of a revision.
#[derive(Clone, Copy)]
struct Counted {
    reading: Reading,
    in_flight: u64,
}

impl Traffic {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            bursts: Bursts::new(),
            programmed: watch::Sender::new(0),
            gate: Mutex::default(),
        })
    }

    /// So many requests are in flight from now on; the data plane tells of it at once.
    pub(crate) fn set(&self, revision: &Key, in_flight: u64) {
        {
            let mut state = self.state();
            let counted = state.counted(revision);
            let begun = in_flight.saturating_sub(counted.in_flight);
            let counted = Counted {
                reading: Reading {
                    started: counted.reading.started + begun,
                    ..counted.reading
                },
                in_flight,
            };
            state.revisions.insert(revision.clone(), counted);
        }
        self.bursts.tell(revision.clone());
    }

    /// The requests in each pod of a revision.
    pub(crate) fn set_pods(&self, revision: &Key, pods: Vec<LivePod>) {
        self.state().pods.insert(revision.clone(), pods);
    }

    /// Stops the next one who asks for the requests of pods: tells that somebody does, and holds them until it is told or dropped.
    pub(crate) fn stop_asking(&self) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
        let ((reached, is_reached), (open, opened)) = (oneshot::channel(), mpsc::channel());
        *self.gate() = Some(Gate { reached, opened });
        (is_reached, open)
    }

    /// Whether gateways would hold requests.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state().refuses = refuses;
    }

    /// Whether gateways stay with the programme that they have.
    pub(crate) fn stop(&self, is_stuck: bool) {
        let offered = {
            let mut state = self.state();
            state.is_stuck = is_stuck;
            state.offered
        };
        if !is_stuck {
            self.programmed.send_replace(offered);
        }
    }

    /// Runs every programme.
    pub(crate) async fn follow(self: Arc<Self>, mut programmes: watch::Receiver<Arc<Programme>>) {
        loop {
            let version = programmes.borrow_and_update().version;
            let is_stuck = {
                let mut state = self.state();
                state.offered = version;
                state.is_stuck
            };
            if !is_stuck {
                self.programmed.send_replace(version);
            }
            if programmes.changed().await.is_err() {
                return;
            }
        }
    }

    fn gate(&self) -> MutexGuard<'_, Option<Gate>> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is counted until now.
    fn counted(&self, revision: &Key) -> Counted {
        let now = now();
        let known = self.revisions.get(revision).copied();
        let known = known.unwrap_or(Counted {
            reading: Reading {
                at: now,
                integral: 0,
                started: 0,
            },
            in_flight: 0,
        });
        let passed = now.nanoseconds().saturating_sub(known.reading.at.nanoseconds());
        Counted {
            reading: Reading {
                at: now,
                integral: known.reading.integral.wrapping_add(passed * known.in_flight),
                started: known.reading.started,
            },
            in_flight: known.in_flight,
        }
    }
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Moment::from_unix(since.unwrap_or(Duration::ZERO))
}

impl Live for Traffic {
    fn load(&self, revision: &Key) -> Option<Load> {
        let counted = self.state().counted(revision);
        Some(Load {
            reading: counted.reading,
            in_flight: counted.in_flight,
            held: 0,
        })
    }

    fn pods(&self, revision: &Key) -> Vec<LivePod> {
        let gate = self.gate().take();
        if let Some(gate) = gate {
            // A scenario that has failed does not listen, and its sender is gone.
            let _ = gate.reached.send(());
            let _ = tokio::task::block_in_place(|| gate.opened.recv());
        }
        self.state().pods.get(revision).cloned().unwrap_or_default()
    }

    fn is_held(&self, _: &Key) -> bool {
        !self.state().refuses
    }

    fn programmed(&self) -> watch::Receiver<u64> {
        self.programmed.subscribe()
    }

    fn bursts(&self) -> Bursts {
        self.bursts.clone()
    }
}
