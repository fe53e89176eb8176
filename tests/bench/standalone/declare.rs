// SPDX-License-Identifier: Apache-2.0
//! How fast services become ready, and what they weigh.
//!
//! Depends on: instance, api.

use std::time::{Duration, Instant};

use ::tests::rig::Rig;
use anyhow::Result;

use super::api;
use super::instance::{Instance, USUAL};
use crate::limit::{Unit, at_least, at_most};
use crate::report::Report;

const AT_ZERO: &str = r#""autoscaling.knative.dev/initial-scale":"0""#;
/// Until memory is looked at: what the start or the last look took is given back.
const REST: Duration = Duration::from_secs(5);

/// Measures and reports.
pub(super) fn measure(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    let counts: &[usize] = if quick { &[1, 100] } else { &[1, 1000, 5000] };
    let instance = Instance::start(rig, USUAL, &[])?;
    std::thread::sleep(REST);
    let idle = instance.resident()?;
    let mut rows = vec![vec!["0".to_owned(), String::new(), String::new(), format!("{idle:.0}")]];
    at_most(
        report,
        "T10 memory, nothing declared",
        [30.0, 15.0],
        Unit("MiB", 1),
        idle,
    );
    let mut declared = 0;
    for &count in counts {
        eprintln!("standalone: {count} services");
        let names: Vec<String> = (declared..count).map(|number| format!("s{number}")).collect();
        let begun = Instant::now();
        instance.declare(&names, AT_ZERO, r#""image":"sluice.dev/sample""#)?;
        let accepted = begun.elapsed().as_secs_f64();
        instance.wait_ready(count, Duration::from_secs(600))?;
        let ready = begun.elapsed().as_secs_f64();
        declared = count;
        let rate = names.len() as f64 / ready;
        std::thread::sleep(REST);
        let resident = instance.resident()?;
        rows.push(vec![
            count.to_string(),
            format!("{accepted:.1}"),
            format!("{rate:.0}"),
            format!("{resident:.0}"),
        ]);
        if count == 1000 {
            at_least(
                report,
                "T11 services declared → Ready",
                [50.0, 200.0],
                Unit("services/s", 0),
                rate,
            );
            at_most(
                report,
                "T10 memory, 1 000 services",
                [150.0, 60.0],
                Unit("MiB", 1),
                resident,
            );
        }
    }
    let (status, _) = api::get(instance.gateway, &format!("s{}.default.localhost", declared - 1), "/")?;
    anyhow::ensure!(status == 200, "the last service answers {status}");
    report.table(
        "Standalone: services declared",
        "Services that begin at zero, by one client, one call each; those of each row are declared beside the ones of the row \
         before. Memory is resident, five seconds later.",
        &["services", "all accepted after s", "ready a second", "MiB"],
        rows,
    );
    Ok(())
}
