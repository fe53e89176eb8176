// SPDX-License-Identifier: Apache-2.0
//! Beside somebody else's connect hook: whoever runs first translates, and nobody translates twice.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use kernel::sys::link::{self, AttachPoint};
use kernel::sys::program::{self, Instruction, Kind};
use kernel::{Hooks, Mode};
use tests::redirect::{Crossing, Dial, foreign, gateway, target};
use tests::rig::Rig;
use tests::suite::{Case, case_on_rig};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig("redirect::what_a_foreign_program_translated_first_is_left_alone", child),
        case_on_rig("redirect::a_foreign_program_on_the_parent_sees_our_address", parent),
        case_on_rig(
            "redirect::a_foreign_program_that_translates_into_a_target_is_followed",
            into_target,
        ),
        case_on_rig(
            "redirect::a_foreign_program_attached_before_us_translates_first",
            before,
        ),
        case_on_rig("redirect::a_foreign_program_attached_after_us_sees_our_address", after),
    ]
}

const USER_IP4: i16 = 4;
const USER_PORT: i16 = 24;

/// connect4: an address (none = any) becomes another.
fn translate(cgroup: &Path, from: Option<Ipv4Addr>, to: SocketAddr) -> Result<OwnedFd> {
    let SocketAddr::V4(to) = to else { bail!("IPv4 only") };
    let word = |ip: Ipv4Addr| i32::from_ne_bytes(ip.octets());
    let mut program = Vec::new();
    if let Some(from) = from {
        // r2 = user_ip4; as 32 bits: if it is another, on to the end.
        program.push(Instruction::new(0x61, 2, 1, USER_IP4, 0));
        program.push(Instruction::new(0x56, 2, 0, 4, word(from)));
    }
    for (field, value) in [(USER_IP4, word(*to.ip())), (USER_PORT, i32::from(to.port().to_be()))] {
        // w3 = value; *(u32 *)(r1 + field) = w3.
        program.push(Instruction::new(0xb4, 3, 0, 0, value));
        program.push(Instruction::new(0x63, 1, 3, field, 0));
    }
    program.push(Instruction::set(0, 1));
    program.push(Instruction::exit());
    let program = program::load(Kind::SockAddr, Some(AttachPoint::Connect4), &program).context("a foreign program")?;
    let cgroup = File::open(cgroup)?;
    Ok(link::create(program.as_fd(), cgroup.as_fd(), AttachPoint::Connect4)?)
}

fn ip(address: SocketAddr) -> Result<Ipv4Addr> {
    match address {
        SocketAddr::V4(address) => Ok(*address.ip()),
        SocketAddr::V6(_) => bail!("IPv4 only"),
    }
}

fn expect(crossing: &Crossing<'_>, name: &str, peer: SocketAddr) -> Result<()> {
    let dialled = crossing.dialler.dial(Dial::to(target(false)))?;
    ensure!(dialled.answer == name, "{dialled:?}, expected {name}");
    ensure!(
        dialled.peer == Some(peer),
        "getpeername says {:?}, expected {peer}",
        dialled.peer
    );
    Ok(())
}

/// Below us: it runs first.
fn child(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "foreign-child", 1)?;
    let kernel = crossing.kernel()?;
    kernel.set_backends(target(false), Mode::Direct, &[crossing.pod(0, false)])?;
    expect(&crossing, "pod0", target(false))?;
    let link = translate(
        &crossing.field.cgroup.path().join("clients"),
        Some(ip(target(false))?),
        foreign(),
    )?;
    for mode in [Mode::Direct, Mode::Buffered] {
        kernel.set_mode(target(false), mode)?;
        // Left alone in getpeername, too.
        expect(&crossing, "foreign", foreign())?;
    }
    ensure!(kernel.redirects()?.direct == 1, "{:?}", kernel.redirects()?);
    drop(link);
    expect(&crossing, "gateway", target(false))
}

/// Above us: it runs last, and what it sees is our choice.
fn parent(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "foreign-parent", 1)?;
    let kernel = crossing.kernel()?;
    let pod = crossing.pod(0, false);
    kernel.set_backends(target(false), Mode::Direct, &[pod])?;
    let service = translate(rig.cgroup().path(), Some(ip(target(false))?), foreign())?;
    expect(&crossing, "pod0", target(false))?;
    drop(service);
    let ours = translate(rig.cgroup().path(), Some(ip(pod.to)?), foreign())?;
    // It overrode our choice, so getpeername must not lie about it.
    expect(&crossing, "foreign", foreign())?;
    kernel.set_mode(target(false), Mode::Buffered)?;
    expect(&crossing, "gateway", target(false))?;
    drop(ours);
    let heard = translate(rig.cgroup().path(), Some(ip(gateway(false))?), foreign())?;
    expect(&crossing, "foreign", foreign())?;
    drop(heard);
    kernel.set_mode(target(false), Mode::Off)?;
    let _service = translate(rig.cgroup().path(), Some(ip(target(false))?), foreign())?;
    expect(&crossing, "foreign", foreign())
}

fn into_target(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "foreign-into", 1)?;
    let kernel = crossing.kernel()?;
    kernel.set_backends(foreign(), Mode::Direct, &[crossing.pod(0, false)])?;
    let clients = crossing.field.cgroup.path().join("clients");
    let _link = translate(&clients, Some(ip(target(false))?), foreign())?;
    expect(&crossing, "pod0", foreign())
}

/// On our own cgroup, in the order of attaching.
fn before(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "foreign-before", 1)?;
    let kernel = crossing.kernel()?;
    let cgroup = crossing.field.cgroup.path();
    kernel.set_backends(target(false), Mode::Direct, &[crossing.pod(0, false)])?;
    kernel.detach(cgroup)?;
    let _link = translate(cgroup, Some(ip(target(false))?), foreign())?;
    let hooks = Hooks {
        account: true,
        redirect: true,
    };
    kernel.attach(cgroup, hooks)?;
    expect(&crossing, "foreign", foreign())?;
    ensure!(kernel.redirects()?.direct == 0, "{:?}", kernel.redirects()?);
    Ok(())
}

fn after(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "foreign-after", 1)?;
    let kernel = crossing.kernel()?;
    kernel.set_backends(target(false), Mode::Direct, &[crossing.pod(0, false)])?;
    let _link = translate(crossing.field.cgroup.path(), Some(ip(target(false))?), foreign())?;
    expect(&crossing, "pod0", target(false))
}
