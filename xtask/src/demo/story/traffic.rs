// SPDX-License-Identifier: Apache-2.0
//! Shares of traffic between revisions: split, switch, rollout, rollback.
//!
//! Depends on: stage.

use super::crowd::Tally;
use super::stage::{Manifest, Stage, host};
use super::tell;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const SHOP: &str = "shop";
const BLUE: &str = "hello blue";
const GREEN: &str = "hello green";
const RED: &str = "hello red";
/// Requests of the split.
const MANY: usize = 400;
/// Answers of a second that say nothing of shares.
const FEW: usize = 50;

/// Two revisions; every request is for one of them by chance.
pub(super) fn split(stage: &Stage<'_>) -> Result<()> {
    for target in ["blue", "green"] {
        tell::line(&format!("A revision whose TARGET is {target}:"));
        stage.apply(&shop(target))?;
    }
    let half = json!([{"revisionName": "shop-00001", "percent": 50}, {"revisionName": "shop-00002", "percent": 50}]);
    send(stage, &half)?;
    let crowd = stage.crowd(SHOP, "/", 4);
    stage.wait("enough answers", || Ok(crowd.so_far().count() >= MANY))?;
    let tally = crowd.stop()?;
    shares(&tally, &[BLUE, GREEN]);
    let percent = tally.of(BLUE) * 100 / tally.count();
    // Of 400 fair draws, less than one run in ten thousand million is outside.
    ensure!(
        (34..=66).contains(&percent),
        "blue got {percent} % of {} answers",
        tally.count()
    );
    Ok(())
}

/// The next version can be looked at by its tag before anybody gets it; then all get it at once.
pub(super) fn switch(stage: &Stage<'_>) -> Result<()> {
    let tagged = |blue: u32, green: u32| {
        json!([{"revisionName": "shop-00001", "percent": blue, "tag": "blue"},
               {"revisionName": "shop-00002", "percent": green, "tag": "green"}])
    };
    send(stage, &tagged(100, 0))?;
    ensure!(stage.ask(&host(SHOP))?.0 == BLUE, "the shop is not blue");
    ensure!(
        stage.ask(&host("green-shop"))?.0 == GREEN,
        "the tag does not lead to green"
    );
    let crowd = stage.crowd(SHOP, "/", 4);
    stage.interrupt.sleep(Duration::from_secs(1))?;
    let before = crowd.so_far();
    send(stage, &tagged(0, 100))?;
    let (switched, during) = (Instant::now(), crowd.so_far());
    stage.interrupt.sleep(Duration::from_secs(1))?;
    let end = crowd.stop()?;
    let (ahead, after) = (before.clone(), end.since(&during));
    tell::line(&format!(
        "4 clients meanwhile: {} blue before, {} green after, {} in all, none failed.",
        ahead.of(BLUE),
        after.of(GREEN),
        end.count()
    ));
    ensure!(
        ahead.of(GREEN) == 0 && ahead.of(BLUE) > 0,
        "green was asked before the switch"
    );
    ensure!(
        !after.is_asked_since(BLUE, switched) && after.of(GREEN) > 0,
        "blue was asked after the switch"
    );
    Ok(())
}

/// A new revision gets its share bit by bit; then it is taken back.
pub(super) fn rollout(stage: &Stage<'_>) -> Result<()> {
    send(stage, &json!([{"latestRevision": true, "percent": 100}]))?;
    let crowd = stage.crowd(SHOP, "/", 4);
    tell::line("A third revision, red; it gets everything within 8 s:");
    stage.api.apply(SHOP, &shop("red").text())?;
    let mut share = Vec::new();
    stage.each_second(&crowd, 40, |second, news| {
        let percent = news.of(RED) * 100 / news.count().max(1);
        // After a look that came late the next one has next to nothing to look at.
        if news.count() >= FEW {
            share.push(percent);
        }
        let bar = tell::bar(percent / 2);
        tell::line(&format!(
            "{second:>3} s  {:>5} answers  red {percent:>3} %  {bar}",
            news.count()
        ));
        Ok(match share.last() {
            Some(100) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    })?;
    let partial = share.iter().filter(|&&percent| percent > 0 && percent < 100).count();
    ensure!(partial >= 3, "the rollout went in one step: {share:?} %");
    ensure!(
        share.is_sorted_by(|a, b| *a <= b + 15),
        "the share went back: {share:?} %"
    );
    ensure!(share.last() == Some(&100), "the rollout did not end: {share:?} %");
    tell::line("Red is not liked. One command back:");
    send(stage, &json!([{"revisionName": "shop-00002", "percent": 100}]))?;
    let (back, settled) = (Instant::now(), crowd.so_far());
    stage.interrupt.sleep(Duration::from_secs(1))?;
    let all = crowd.stop()?;
    let last = all.since(&settled);
    tell::line(&format!(
        "{} green, {} red since; {} answers in the chapter, none failed.",
        last.of(GREEN),
        last.of(RED),
        all.count()
    ));
    ensure!(
        !last.is_asked_since(RED, back) && last.of(GREEN) > 0,
        "red was asked after the way back"
    );
    Ok(())
}

fn shop(target: &str) -> Manifest<'_> {
    Manifest {
        name: SHOP,
        annotations: "serving.knative.dev/rollout-duration: 8s",
        scaling: "autoscaling.knative.dev/window: 6s",
        image: "sluice.dev/sample",
        target,
    }
}

fn send(stage: &Stage<'_>, traffic: &Value) -> Result<()> {
    stage.api.patch(SHOP, &json!({"spec": {"traffic": traffic}}))?;
    let took = stage.settle(SHOP)?;
    tell::line(&format!("in force after {}", tell::time(took)));
    Ok(())
}

fn shares(tally: &Tally, names: &[&str]) {
    for name in names {
        let percent = tally.of(name) * 100 / tally.count().max(1);
        tell::line(&format!(
            "{name:<12} {:>4} answers  {percent:>3} %  {}",
            tally.of(name),
            tell::bar(percent / 2)
        ));
    }
}
