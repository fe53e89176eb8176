// SPDX-License-Identifier: Apache-2.0
//! What a redirected client asked for decides, not what it says; a client that was not redirected is taken at its word.

use anyhow::{Result, ensure};
use tests::rig::Rig;
use tests::steered::{Load, Outcome, Steered, gateway, target};
use tests::suite::{Case, case_on_rig};

pub(super) fn cases() -> Vec<Case> {
    vec![case_on_rig(
        "steered::two_targets_with_the_same_host_lead_to_their_own_revisions",
        origins,
    )]
}

fn only(outcome: &Outcome) -> Result<&str> {
    ensure!(
        outcome.failed.is_empty() && outcome.answers.len() == 1,
        "one kind of answer: {outcome:?}"
    );
    Ok(outcome.answers.keys().next().map_or("", String::as_str))
}

fn origins(rig: &Rig) -> Result<()> {
    let mut steered = Steered::new(rig, "origins", 3, "revisions: {}\nroutes: []\n")?;
    let [blue, green, red] = [0, 1, 2].map(|pod| steered.pods(pod, pod + 1));
    let file = |third: &str| {
        format!(
            "revisions: {{blue: {{pods: {blue}}}, green: {{pods: {green}}}, shop/red: {{pods: {red}}}}}\n\
             routes:\n- {{hosts: [same.test], to: {{blue: 100}}}}\n- {{hosts: [inner.test], to: {{shop/red: 100}}}}\n\
             targets:\n- {{address: '10.96.0.1:80', to: blue, mode: buffered}}\n\
             - {{address: '10.96.0.2:80', to: green, mode: buffered}}\n\
             - {{address: '10.96.0.3:80', {third}, mode: buffered}}\n"
        )
    };
    steered.daemon.write(&file("host: inner.test"))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "the file is read", |status| status.targets.len() == 3)?;
    let clients = &steered.clients;
    let ask = |load: Load| clients.run(load.requests(3).host("same.test"));
    for (number, pod) in [(1, '0'), (2, '1'), (3, '2')] {
        let outcome = ask(Load::to(target(number), 2))?;
        let expected = format!("200 {pod} 10.77.2.1");
        ensure!(only(&outcome)? == expected, "target {number}: {outcome:?}");
    }
    // Not redirected: its headers, then its host, else nobody knows it.
    ensure!(only(&ask(Load::to(gateway(), 1))?)?.starts_with("200 0 "));
    let named = Load::to(gateway(), 1)
        .header("Knative-Serving-Namespace: shop")
        .header("Knative-Serving-Revision: red");
    ensure!(only(&ask(named)?)?.starts_with("200 2 "));
    let stranger = clients.run(Load::to(gateway(), 1).requests(1).host("stranger.test"))?;
    ensure!(only(&stranger)?.starts_with("404 "), "{stranger:?}");

    // Connections that are open follow where their address leads.
    clients.start_load(Load::to(target(3), 2).sleep(20).host("same.test"))?;
    steered.daemon.write(&file("to: green"))?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let outcome = clients.look()?;
        ensure!(outcome.failed.is_empty() && outcome.sent_off == 0, "{outcome:?}");
        if outcome.answers.keys().eq(["200 1 10.77.2.1"]) {
            break;
        }
        ensure!(std::time::Instant::now() < deadline, "they did not follow: {outcome:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let outcome = clients.stop()?;
    ensure!(outcome.failed.is_empty(), "{outcome:?}");
    Ok(())
}
