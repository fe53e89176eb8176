// SPDX-License-Identifier: Apache-2.0
//! A seeded userspace relay between two TUN devices in the router.
//!
//! Problem: the firewall only loses; networks also duplicate, reorder and delay.
//! Mechanism: policy routes send what comes from the client into `t0` and what comes from the pod into `t1`; the
//! relay reads one and writes the other, each packet's fate drawn from a generator with the given seed.
//! Invariants: the same seed makes the same decisions for the same packets in the same order; the thread and the
//! devices end with the guard.
//! Depends on: /dev/net/tun.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::rig::{Field, join};

/// What happens to packets, each in 1/10 000.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mischief {
    /// Lost.
    pub lose: u32,
    /// Sent twice.
    pub repeat: u32,
    /// Held back, so that later ones overtake it.
    pub reorder: u32,
    /// Every packet takes this long at least.
    pub delay: Duration,
}

/// A running relay.
pub struct Relay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Relay {
    /// Puts the relay into the field's router.
    pub fn start(field: &Field, seed: u64, mischief: Mischief) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = mpsc::channel();
        let (stopping, netns) = (Arc::clone(&stop), field.router.name().to_owned());
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || {
            let wires = join(&netns).and_then(|()| Wires::open(seed, mischief));
            match wires {
                Ok(mut wires) => {
                    let _ = ready.send(Ok(()));
                    wires.run(&stopping)
                }
                Err(error) => ready
                    .send(Err(error))
                    .map_err(|_| anyhow!("nobody waits for the relay")),
            }
        })?;
        let relay = Self {
            stop,
            thread: Some(thread),
        };
        is_ready.recv()??;
        route(field)?;
        Ok(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What comes from the client goes into `t0`, what comes from the pod into `t1`, once the two exist.
pub(super) fn route(field: &Field) -> Result<()> {
    field.router.sysctl("ipv4/conf/all/rp_filter", "0")?;
    for device in ["t0", "t1"] {
        field.router.sysctl(&format!("ipv4/conf/{device}/rp_filter"), "0")?;
    }
    field.router.ip("link set t0 up\nlink set t1 up\n\
         route add default dev t0 table 100\nroute add default dev t1 table 101\n\
         route add ::/0 dev t0 table 100\nroute add ::/0 dev t1 table 101\n\
         rule add iif r0 lookup 100\nrule add iif r1 lookup 101\n")?;
    for (device, table) in [("r0", "100"), ("r1", "101")] {
        let rule = ["-6", "rule", "add", "iif", device, "lookup", table];
        field.router.tool("ip", &rule, "")?;
    }
    Ok(())
}

/// A TUN device in the namespace of the thread.
pub(super) fn open(name: &str) -> Result<SyncDevice> {
    let device = DeviceBuilder::new().name(name).mtu(1500).build_sync()?;
    device.set_nonblocking(true)?;
    Ok(device)
}

struct Wires {
    devices: [SyncDevice; 2],
    chance: [fastrand::Rng; 2],
    mischief: Mischief,
    waiting: BinaryHeap<Reverse<Packet>>,
    serial: u64,
}

/// Ordered by when it leaves, then by when it came.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    leaves: Instant,
    serial: u64,
    to: usize,
    bytes: Vec<u8>,
}

impl Wires {
    fn open(seed: u64, mischief: Mischief) -> Result<Self> {
        Ok(Self {
            devices: [open("t0")?, open("t1")?],
            chance: [fastrand::Rng::with_seed(seed), fastrand::Rng::with_seed(!seed)],
            mischief,
            waiting: BinaryHeap::new(),
            serial: 0,
        })
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while !stop.load(Ordering::Relaxed) {
            self.wait()?;
            for from in 0..2 {
                while let Ok(size) = self.devices[from].recv(&mut buffer) {
                    self.take(from, &buffer[..size]);
                }
            }
            self.release();
        }
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        let now = Instant::now();
        let left = self
            .waiting
            .peek()
            .map(|packet| packet.0.leaves.saturating_duration_since(now));
        // Whole milliseconds, rounded up: a busy loop would take the cores from those being tested.
        let limit = left.map_or(20, |left| left.as_micros().div_ceil(1000).min(20) as u16);
        let mut polled: Vec<PollFd<'_>> = Vec::new();
        for device in &self.devices {
            polled.push(PollFd::new(device.as_fd(), PollFlags::POLLIN));
        }
        poll(&mut polled, PollTimeout::from(limit))?;
        Ok(())
    }

    fn take(&mut self, from: usize, bytes: &[u8]) {
        let chance = &mut self.chance[from];
        let mut happens = |of_10_000: u32| chance.u32(0..10_000) < of_10_000;
        let (lost, repeated, held) = (
            happens(self.mischief.lose),
            happens(self.mischief.repeat),
            happens(self.mischief.reorder),
        );
        let late = Duration::from_micros(chance.u64(500..4000));
        if lost && !is_syn(bytes) {
            return;
        }
        let leaves = Instant::now() + self.mischief.delay;
        let copies = if repeated { 2 } else { 1 };
        for copy in 0..copies {
            let leaves = if held || copy == 1 { leaves + late } else { leaves };
            self.serial += 1;
            self.waiting.push(Reverse(Packet {
                leaves,
                serial: self.serial,
                to: 1 - from,
                bytes: bytes.to_vec(),
            }));
        }
    }

    fn release(&mut self) {
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|packet| packet.0.leaves <= now) {
            let Some(Reverse(packet)) = self.waiting.pop() else {
                return;
            };
            // A full queue loses the packet, as queues do.
            let _ = self.devices[packet.to].send(&packet.bytes);
        }
    }
}

/// SYN and SYN-ACK are spared: losing them costs seconds and shows nothing.
fn is_syn(packet: &[u8]) -> bool {
    let flags = transport(packet).and_then(|header| packet.get(header + 13));
    flags.is_some_and(|flags| flags & 2 != 0)
}

/// Bytes that a TCP packet carries; 0 for anything else.
pub(super) fn payload(packet: &[u8]) -> usize {
    let data = transport(packet).and_then(|header| Some(header + usize::from(packet.get(header + 12)? >> 4) * 4));
    data.map_or(0, |data| packet.len().saturating_sub(data))
}

/// Where the TCP header of a packet begins.
fn transport(packet: &[u8]) -> Option<usize> {
    let first = packet.first()?;
    let (protocol, header) = match first >> 4 {
        4 => (packet.get(9)?, usize::from(first & 15) * 4),
        6 => (packet.get(6)?, 40),
        _ => return None,
    };
    (*protocol == 6).then_some(header)
}
