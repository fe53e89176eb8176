// SPDX-License-Identifier: Apache-2.0
//! Kubelet's connections: known by the cgroup of their socket, not counted, never moved.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kernel::{Configuration, Mode, Netns};
use tests::redirect::{Crossing, Dial, target};
use tests::rig::{POD_PORT, Rig};
use tests::suite::{Case, case_on_rig};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "redirect::connections_of_the_probing_cgroup_are_not_counted",
            not_counted,
        ),
        case_on_rig("redirect::the_probing_cgroup_is_never_redirected", not_moved),
        case_on_rig("redirect::open_probes_are_not_reported_as_unaccounted", not_unaccounted),
    ]
}

fn not_counted(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "probes", 1)?;
    let (kubelet, _cgroup, id) = crossing.another("kubelet")?;
    crossing.configure(|configuration| Configuration {
        probe_cgroup: id,
        ..configuration
    })?;
    for six in [false, true] {
        let pod = Dial::to(crossing.pod(0, six).to);
        for dial in [pod, pod.mapped()] {
            let before = crossing.kernel()?.counts(crossing.id(0))?;
            for dialled in kubelet.dial_times(dial, 5)? {
                ensure!(dialled.answer == "pod0" && dialled.peer.is_some(), "{dialled:?}");
            }
            let after = crossing.kernel()?.counts(crossing.id(0))?.since(&before);
            ensure!(after.probes == 5, "{dial:?}: {} probes", after.probes);
            ensure!(
                after.connections == 0 && after.core.started == 0,
                "{dial:?}: counted {after:?}"
            );
            let dialled = crossing.dialler.dial(dial)?;
            ensure!(dialled.answer == "pod0", "{dialled:?}");
            let after = crossing.kernel()?.counts(crossing.id(0))?.since(&before);
            ensure!(after.probes == 5 && after.core.started == 1, "{dial:?}: {after:?}");
        }
    }
    Ok(())
}

fn not_moved(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "probe-target", 1)?;
    let (kubelet, _cgroup, id) = crossing.another("kubelet")?;
    crossing.configure(|configuration| Configuration {
        probe_cgroup: id,
        ..configuration
    })?;
    for six in [false, true] {
        crossing
            .kernel()?
            .set_backends(target(six), Mode::Direct, &[crossing.pod(0, six)])?;
        let dialled = kubelet.dial(Dial::to(target(six)))?;
        ensure!(
            dialled.answer == "itself" && dialled.peer == Some(target(six)),
            "{dialled:?}"
        );
    }
    Ok(())
}

fn not_unaccounted(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "probe-open", 1)?;
    let (kubelet, _cgroup, id) = crossing.another("kubelet")?;
    crossing.configure(|configuration| Configuration {
        probe_cgroup: id,
        ..configuration
    })?;
    let to = crossing.pod(0, false).to;
    kubelet.hold(to, 3)?;
    crossing.dialler.hold(to, 2)?;
    let netns = Netns::at(&crossing.field.pod.path())?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let accounted = crossing.kernel()?.accounted(&netns, POD_PORT).context("enumerating")?;
        ensure!(accounted.unaccounted == 0 && accounted.open <= 2, "{accounted:?}");
        if accounted.open == 2 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{accounted:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
