// SPDX-License-Identifier: Apache-2.0
//! A relay that gives a connection's packets to two CPUs: pure acknowledgements to one, data to the other.
//!
//! Problem: data that meets its new socket while another CPU still works on the handshake is a matter of microseconds.
//! Mechanism: as the seeded relay, but what comes from the client is written by two threads, each bound to a CPU: a
//! packet written into a TUN device is received on the CPU that writes it. [`hold`] makes the handshake's last step last.
//! Invariants: what overtook is counted: a case can tell that it showed something.
//! Depends on: /dev/net/tun, two CPUs.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use kernel::sys::link::{self, AttachPoint};
use kernel::sys::program::{self, Instruction, Kind};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tun_rs::SyncDevice;

use super::relay::{open, payload, route};
use crate::rig::{Field, join};

/// How far data stays behind.
const BEHIND: Duration = Duration::from_micros(300);
/// What holds a handshake up: helper calls, some 20 to 50 ns each.
const CALLS: i32 = 120_000;
/// BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB.
const PASSIVE_ESTABLISHED: i32 = 5;
/// bpf_ktime_get_ns.
const CLOCK: i32 = 5;

/// A foreign sock_ops program that takes milliseconds for each connection that a server accepts: whoever is attached after
/// it learns that much later of the connection. Ends when dropped.
pub fn hold(cgroup: &Path) -> Result<OwnedFd> {
    let program = [
        // r2 = op; to the end when it is anything else.
        Instruction::new(0x61, 2, 1, 0, 0),
        Instruction::new(0x55, 2, 0, 4, PASSIVE_ESTABLISHED),
        Instruction::set(6, 0),
        Instruction::call(CLOCK),
        // r6 += 1; again while r6 < CALLS.
        Instruction::new(0x07, 6, 0, 0, 1),
        Instruction::new(0xa5, 6, 0, -3, CALLS),
        Instruction::set(0, 1),
        Instruction::exit(),
    ];
    let program = program::load(Kind::SockOps, None, &program).context("a program that takes its time")?;
    let cgroup = File::open(cgroup)?;
    Ok(link::create(program.as_fd(), cgroup.as_fd(), AttachPoint::SockOps)?)
}

/// What the threads share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Which acknowledgement is being received; 0 = none.
    at: AtomicU64,
    overtaken: AtomicU64,
}

/// A running relay.
pub struct Overtaking {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Overtaking {
    /// Puts the relay into the field's router.
    pub fn start(field: &Field) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (ready, is_ready) = mpsc::channel();
        let netns = field.router.name().to_owned();
        let (acknowledged, acknowledgements) = mpsc::channel();
        let (sent, data) = mpsc::channel();
        let reader = Arc::clone(&shared);
        let reading = std::thread::Builder::new().name("overtaking".into()).spawn(move || {
            let devices = join(&netns).and_then(|()| Ok((open("t0")?, Arc::new(open("t1")?))));
            match devices {
                Ok((client, pod)) => {
                    let _ = ready.send(Ok(Arc::clone(&pod)));
                    read(&reader, &client, &pod, &acknowledged, &sent)
                }
                Err(error) => ready
                    .send(Err(error))
                    .map_err(|_| anyhow!("nobody waits for the relay")),
            }
        })?;
        let mut relay = Self {
            shared: Arc::clone(&shared),
            threads: vec![reading],
        };
        let pod = is_ready.recv()??;
        let (first, second) = (Arc::clone(&pod), Arc::clone(&shared));
        relay.spawn("acknowledging", move || acknowledge(&second, &first, &acknowledgements))?;
        relay.spawn("sending", move || send(&shared, &pod, &data))?;
        route(field)?;
        Ok(relay)
    }

    /// Packets of data that were received while an acknowledgement before them was still being received.
    pub fn overtaken(&self) -> u64 {
        self.shared.overtaken.load(Ordering::Relaxed)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(work)?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Overtaking {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// From the devices to the threads that write. The channels end with it, and so do they.
fn read(
    shared: &Shared,
    client: &SyncDevice,
    pod: &SyncDevice,
    acknowledged: &Sender<Vec<u8>>,
    sent: &Sender<(Instant, Vec<u8>)>,
) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    while !shared.stop.load(Ordering::Relaxed) {
        let mut polled = [client, pod].map(|device| PollFd::new(device.as_fd(), PollFlags::POLLIN));
        poll(&mut polled, PollTimeout::from(20_u16))?;
        while let Ok(size) = client.recv(&mut buffer) {
            let packet = buffer[..size].to_vec();
            let _ = if payload(&packet) == 0 {
                acknowledged.send(packet).is_ok()
            } else {
                sent.send((Instant::now() + BEHIND, packet)).is_ok()
            };
        }
        while let Ok(size) = pod.recv(&mut buffer) {
            // A full queue loses the packet, as queues do.
            let _ = client.send(&buffer[..size]);
        }
    }
    Ok(())
}

fn acknowledge(shared: &Shared, pod: &SyncDevice, packets: &Receiver<Vec<u8>>) -> Result<()> {
    bind(0)?;
    for (number, packet) in (1..).zip(packets) {
        shared.at.store(number, Ordering::SeqCst);
        let _ = pod.send(&packet);
        shared.at.store(0, Ordering::SeqCst);
    }
    Ok(())
}

fn send(shared: &Shared, pod: &SyncDevice, packets: &Receiver<(Instant, Vec<u8>)>) -> Result<()> {
    bind(1)?;
    for (leaves, packet) in packets {
        std::thread::sleep(leaves.saturating_duration_since(Instant::now()));
        let before = shared.at.load(Ordering::SeqCst);
        let _ = pod.send(&packet);
        if before != 0 && shared.at.load(Ordering::SeqCst) == before {
            shared.overtaken.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Keeps this thread on a CPU.
fn bind(cpu: usize) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &cpus).with_context(|| format!("CPU {cpu}"))
}
