// SPDX-License-Identifier: Apache-2.0
//! Every way to connect reaches the right side and sees the address it asked for; whatever is not ours is left alone.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kernel::{Mode, Refuse, Settings};
use tests::redirect::{Crossing, Dial, Dialled, How, gateway, nobody, other, target};
use tests::rig::Rig;
use tests::suite::{Case, case_on_rig};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case_on_rig("redirect::an_address_nobody_has_reaches_a_pod", |rig| {
            unowned(rig, Mode::Direct, "pod0")
        }),
        case_on_rig("redirect::an_address_nobody_has_reaches_the_gateway", |rig| {
            unowned(rig, Mode::Buffered, "gateway")
        }),
        case_on_rig("redirect::udp_to_a_target_is_untouched", udp),
        case_on_rig("redirect::a_marked_socket_is_left_alone", marked),
        case_on_rig("redirect::the_daemons_own_cgroup_is_left_alone", exempt),
        case_on_rig("redirect::addresses_that_are_no_target_are_left_alone", untracked),
        case_on_rig("redirect::a_target_that_is_off_or_removed_is_left_alone", off),
        case_on_rig(
            "redirect::without_a_gateway_of_the_family_a_target_is_left_alone",
            no_gateway,
        ),
        case_on_rig("redirect::pods_of_the_other_family_are_not_chosen", other_family),
        case_on_rig(
            "redirect::in_the_connections_tier_targets_work_and_open_connections_are_in_flight",
            connections_tier,
        ),
        case_on_rig("redirect::outlives_the_daemon_and_is_adopted", adopted),
    ];
    for (name, how) in [
        ("blocking", How::Blocking),
        ("non_blocking", How::NonBlocking),
        ("fast_open_by_sendto", How::FastOpenSend),
        ("fast_open_by_option", How::FastOpenConnect),
    ] {
        cases.push(case_on_rig(
            format!("redirect::{name}_connects_of_both_families_and_mapped_reach_pod_and_gateway"),
            move |rig| ways(rig, how),
        ));
    }
    cases
}

/// The three families a client may use.
fn families(how: How) -> [Dial; 3] {
    [
        Dial::to(target(false)).how(how),
        Dial::to(target(true)).how(how),
        Dial::to(target(false)).how(how).mapped(),
    ]
}

/// As an AF_INET6 socket tells an IPv4 address.
fn told(dial: &Dial) -> SocketAddr {
    match dial.to.ip() {
        IpAddr::V4(ip) if dial.mapped => (ip.to_ipv6_mapped(), dial.to.port()).into(),
        _ => dial.to,
    }
}

fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn ensure_answer(dialled: &Dialled, name: &str, what: &Dial) -> Result<()> {
    ensure!(dialled.answer == name, "{what:?}: {dialled:?}, expected {name}");
    let peer = dialled.peer.context("no peer")?;
    ensure!(peer == told(what), "{what:?}: getpeername says {peer}");
    Ok(())
}

fn ways(rig: &Rig, how: How) -> Result<()> {
    let crossing = Crossing::new(rig, "ways", 1)?;
    let kernel = crossing.kernel()?;
    for six in [false, true] {
        kernel.set_backends(target(six), Mode::Direct, &[crossing.pod(0, six)])?;
    }
    for dial in families(how) {
        for dialled in crossing.dialler.dial_times(dial, 5)? {
            ensure_answer(&dialled, "pod0", &dial)?;
        }
    }
    for six in [false, true] {
        kernel.set_mode(target(six), Mode::Buffered)?;
    }
    crossing.router.heard()?;
    for dial in families(how).into_iter().cycle().take(15) {
        let dialled = crossing.dialler.dial(dial)?;
        ensure_answer(&dialled, "gateway", &dial)?;
        let heard = crossing.router.heard()?;
        let mine = plain(dialled.local.context("no local end")?);
        let [heard] = heard.as_slice() else { bail!("{heard:?}") };
        ensure!(
            heard.name == "gateway" && heard.peer == mine,
            "{heard:?}, dialled from {mine}"
        );
        let asked = kernel.target_of(heard.peer, heard.local)?;
        ensure!(asked == Some(dial.to), "{dial:?}: the gateway was told {asked:?}");
    }
    let redirects = kernel.redirects()?;
    ensure!(redirects.direct == 15 && redirects.buffered == 15, "{redirects:?}");
    ensure!(
        redirects.unpublished == 0 && redirects.without_backend == 0,
        "{redirects:?}"
    );
    if matches!(how, How::FastOpenSend | How::FastOpenConnect) {
        // A SYN whose answer is late goes once more, without its data (RFC 7413, 4.1.3).
        for netns in [&crossing.field.pod, &crossing.field.router] {
            // Connections whose SYN brought data.
            let opened = netns.tcp("TCPFastOpenPassive")?;
            let name = netns.name();
            ensure!((10..=15).contains(&opened), "the case itself: {opened} in {name}");
        }
    }
    counted(&crossing, 15)
}

/// The pods' accounting saw so many requests, all ended.
fn counted(crossing: &Crossing<'_>, requests: u64) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let counts = crossing.kernel()?.counts(crossing.id(0))?;
        if counts.core.started == requests && counts.core.ended == requests {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{:?}, expected {requests}", counts.core);
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn unowned(rig: &Rig, mode: Mode, name: &str) -> Result<()> {
    let crossing = Crossing::new(rig, "unowned", 1)?;
    for six in [false, true] {
        let dial = Dial::to(nobody(six));
        let before = crossing.dialler.dial(dial)?;
        ensure!(
            before.answer.starts_with("error"),
            "the case itself: somebody answers: {before:?}"
        );
        crossing
            .kernel()?
            .set_backends(nobody(six), mode, &[crossing.pod(0, six)])?;
        ensure_answer(&crossing.dialler.dial(dial)?, name, &dial)?;
    }
    Ok(())
}

fn udp(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "udp", 1)?;
    for six in [false, true] {
        crossing
            .kernel()?
            .set_backends(target(six), Mode::Direct, &[crossing.pod(0, six)])?;
        for connected in [false, true] {
            let answer = crossing.dialler.datagram(target(six), connected)?;
            ensure!(
                answer == "itself",
                "{answer} answered a datagram (connected: {connected})"
            );
        }
    }
    let redirects = crossing.kernel()?.redirects()?;
    ensure!(redirects.direct == 0, "{redirects:?}");
    Ok(())
}

fn marked(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "marked", 1)?;
    crossing.configure(|configuration| kernel::Configuration {
        exempt_mark: 0x51,
        ..configuration
    })?;
    for six in [false, true] {
        crossing
            .kernel()?
            .set_backends(target(six), Mode::Direct, &[crossing.pod(0, six)])?;
    }
    for dial in families(How::Blocking) {
        ensure_answer(&crossing.dialler.dial(dial.mark(0x51))?, "itself", &dial)?;
        ensure_answer(&crossing.dialler.dial(dial.mark(0x52))?, "pod0", &dial)?;
        ensure_answer(&crossing.dialler.dial(dial)?, "pod0", &dial)?;
    }
    Ok(())
}

fn exempt(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "exempt", 1)?;
    let (daemon, _cgroup, id) = crossing.another("daemon")?;
    crossing.configure(|configuration| kernel::Configuration {
        exempt_cgroup: id,
        ..configuration
    })?;
    for six in [false, true] {
        crossing.kernel()?.set_backends(target(six), Mode::Buffered, &[])?;
    }
    for dial in families(How::Blocking) {
        ensure_answer(&daemon.dial(dial)?, "itself", &dial)?;
        ensure_answer(&crossing.dialler.dial(dial)?, "gateway", &dial)?;
    }
    Ok(())
}

fn untracked(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "untracked", 1)?;
    for six in [false, true] {
        crossing
            .kernel()?
            .set_backends(target(six), Mode::Direct, &[crossing.pod(0, six)])?;
        // Another address, and the same address with another port of a target.
        let dial = Dial::to(other(six));
        ensure_answer(&crossing.dialler.dial(dial)?, "other", &dial)?;
        let mut port = gateway(six);
        crossing
            .kernel()?
            .set_backends(SocketAddr::new(port.ip(), 9001), Mode::Direct, &[crossing.pod(0, six)])?;
        port.set_port(9000);
        let dial = Dial::to(port);
        ensure_answer(&crossing.dialler.dial(dial)?, "gateway", &dial)?;
        // A pod's serving address is none either.
        let dial = Dial::to(crossing.pod(0, six).to);
        ensure_answer(&crossing.dialler.dial(dial)?, "pod0", &dial)?;
    }
    let redirects = crossing.kernel()?.redirects()?;
    ensure!(redirects.direct == 0 && redirects.buffered == 0, "{redirects:?}");
    Ok(())
}

fn off(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "off", 1)?;
    let kernel = crossing.kernel()?;
    let dial = Dial::to(target(false));
    kernel.set_backends(target(false), Mode::Off, &[crossing.pod(0, false)])?;
    ensure_answer(&crossing.dialler.dial(dial)?, "itself", &dial)?;
    kernel.set_mode(target(false), Mode::Direct)?;
    ensure_answer(&crossing.dialler.dial(dial)?, "pod0", &dial)?;
    kernel.set_mode(target(false), Mode::Off)?;
    ensure_answer(&crossing.dialler.dial(dial)?, "itself", &dial)?;
    kernel.set_mode(target(false), Mode::Direct)?;
    kernel.remove_target(target(false))?;
    ensure_answer(&crossing.dialler.dial(dial)?, "itself", &dial)?;
    ensure!(kernel.targets().is_empty(), "{:?}", kernel.targets());
    Ok(())
}

fn no_gateway(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "no-gateway", 1)?;
    crossing.configure(|configuration| kernel::Configuration {
        gateway6: None,
        ..configuration
    })?;
    for six in [false, true] {
        crossing.kernel()?.set_backends(target(six), Mode::Buffered, &[])?;
    }
    let [four, six, mapped] = families(How::Blocking);
    ensure_answer(&crossing.dialler.dial(four)?, "gateway", &four)?;
    ensure_answer(&crossing.dialler.dial(mapped)?, "gateway", &mapped)?;
    ensure_answer(&crossing.dialler.dial(six)?, "itself", &six)?;
    let redirects = crossing.kernel()?.redirects()?;
    ensure!(redirects.without_backend == 1, "{redirects:?}");
    Ok(())
}

fn other_family(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "family", 1)?;
    for six in [false, true] {
        crossing
            .kernel()?
            .set_backends(target(six), Mode::Direct, &[crossing.pod(0, !six)])?;
    }
    for dial in families(How::Blocking) {
        ensure_answer(&crossing.dialler.dial(dial)?, "itself", &dial)?;
    }
    Ok(())
}

/// The daemon ends: targets go on. It comes back: it knows them, and goes on flipping.
fn adopted(rig: &Rig) -> Result<()> {
    let mut crossing = Crossing::new(rig, "adopted", 2)?;
    let dial = Dial::to(target(false));
    let pod = crossing.pod(1, false);
    crossing.kernel()?.set_backends(target(false), Mode::Direct, &[pod])?;
    crossing.counter().close();
    ensure_answer(&crossing.dialler.dial(dial)?, "pod1", &dial)?;
    crossing.counter().reopen()?;
    ensure_answer(&crossing.dialler.dial(dial)?, "pod1", &dial)?;
    let kernel = crossing.kernel()?;
    ensure!(
        kernel.targets() == [(target(false), Mode::Direct, 1)],
        "{:?}",
        kernel.targets()
    );
    kernel.set_mode(target(false), Mode::Buffered)?;
    ensure_answer(&crossing.dialler.dial(dial)?, "gateway", &dial)?;
    kernel.set_backends(target(false), Mode::Direct, &[crossing.pod(0, false)])?;
    ensure_answer(&crossing.dialler.dial(dial)?, "pod0", &dial)?;
    Ok(())
}

/// Without bpf_loop.
fn connections_tier(rig: &Rig) -> Result<()> {
    let refuse = Refuse {
        bpf_loop: true,
        ..Refuse::default()
    };
    let crossing = Crossing::with(rig, "connections-tier", 1, |settings| Settings { refuse, ..settings })?;
    let kernel = crossing.kernel()?;
    let tier = kernel.tier();
    ensure!(
        tier.word() == "connections" && tier.why().is_some_and(|why| !why.is_empty()),
        "{tier:?}"
    );
    let dial = Dial::to(target(false));
    kernel.set_backends(target(false), Mode::Direct, &[crossing.pod(0, false)])?;
    ensure_answer(&crossing.dialler.dial(dial)?, "pod0", &dial)?;
    counted(&crossing, 1)?;
    crossing.dialler.hold(target(false), 5)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let open = kernel.counts(crossing.id(0))?;
        let shared = kernel.pods().get(crossing.id(0));
        if open.in_flight() == 5 && open.open_connections() == 5 && shared.in_flight == 5 {
            break;
        }
        ensure!(Instant::now() < deadline, "{open:?}, {shared:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    crossing.dialler.release()?;
    counted(&crossing, 6)
}
