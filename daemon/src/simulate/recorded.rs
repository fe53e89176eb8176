// SPDX-License-Identifier: Apache-2.0
//! Recorded scenarios, replayed one by one.
//!
//! Mechanism: a scenario is read, played by each variant and shown before the next one is read.
//! Depends on: source, text, logic.

use logic::replay::{
    Format, Scenario, Variant,
    chart::{Chart, Panel},
    line::shown,
    scenario::{self, Played, Refused},
    settings::{MOST_VARIANTS, label},
};
use serde_json::{Value, json};

use super::{
    source::Source,
    text::{duration, short, thousands},
    wrong_setting,
};
use crate::{
    cli::{self, Looks, Shown},
    failure::{Exit, Failure},
    output,
};
use std::time::Duration;

/// What was seen so far.
#[derive(Default)]
struct Seen {
    scenarios: u64,
    passed_over: u64,
    decisions: u64,
    different: u64,
    panels: Vec<Panel>,
}

/// Replays the trace and shows what was decided.
pub(super) fn run(
    mut source: Source,
    arguments: &cli::Simulate,
    variants: &[Variant],
    looks: Looks,
) -> Result<Exit, Failure> {
    source.expect(Format::Scenarios);
    let mut seen = Seen::default();
    if arguments.output == Shown::Table {
        output::print(&[heading(looks.colour)])?;
    }
    while let Some(line) = source.next()? {
        let scenario = Scenario::parse(line).map_err(|error| source.wrong(&error))?;
        let wanted = arguments.scenario.as_ref();
        if wanted.is_some_and(|wanted| !scenario.name.contains(wanted.as_str())) {
            seen.passed_over += 1;
            continue;
        }
        seen.scenarios += 1;
        for variant in variants {
            let played = scenario::play(&scenario, &variant.pairs).map_err(|error| match error {
                Refused::Line(error) => source.wrong(&error),
                Refused::Setting(error) => wrong_setting(&error),
            })?;
            show(&played, variant, arguments, &mut seen)?;
        }
    }
    if seen.scenarios == 0 && seen.passed_over == 0 {
        return Err(source.empty(Format::Scenarios.shape()));
    }
    if seen.scenarios == 0 {
        let message = format!("{} scenarios, and none with that in its name", seen.passed_over);
        return Err(Failure::new(Exit::Gone, message, ""));
    }
    finish(source.name(), &label(&arguments.set), arguments.output, seen)
}

fn show(played: &Played, variant: &Variant, arguments: &cli::Simulate, seen: &mut Seen) -> Result<(), Failure> {
    seen.decisions += played.decisions;
    seen.different += played.different;
    match arguments.output {
        Shown::Table => output::print(&[row(played, &variant.label)]),
        Shown::Json => output::print(&[object(played, variant)]),
        Shown::Svg if seen.panels.len() >= MOST_VARIANTS => Err(Failure::new(
            Exit::Usage,
            format!("a picture has at most {MOST_VARIANTS} panels, one for each scenario and setting"),
            "choose scenarios with --scenario TEXT",
        )),
        Shown::Svg => {
            seen.panels.push(panel(played, &variant.label));
            Ok(())
        }
    }
}

fn finish(name: &str, set: &str, shown: Shown, seen: Seen) -> Result<Exit, Failure> {
    match shown {
        Shown::Table => output::print(&[format!(
            "{} scenarios, {} decisions, {} of them not as recorded",
            thousands(seen.scenarios),
            thousands(seen.decisions),
            thousands(seen.different)
        )])?,
        Shown::Json => {}
        Shown::Svg => {
            let chart = Chart {
                title: name.rsplit('/').next().unwrap_or(name).to_owned(),
                subtitle: match set {
                    "" => "settings: as recorded".to_owned(),
                    set => format!("settings: as recorded, but {set}"),
                },
                load: "load".to_owned(),
                panels: seen.panels,
            };
            output::print(&[chart.to_svg()])?;
        }
    }
    Ok(Exit::Done)
}

fn heading(in_colour: bool) -> String {
    let heading = format!(
        "{:30} {:>9} {:>9} {:>5} {:>8} {:>6}",
        "SCENARIO", "DECISIONS", "DIFFERENT", "MOST", "POD-S", "PANIC"
    );
    match in_colour {
        true => format!("\x1b[1m{heading}\x1b[0m"),
        false => heading,
    }
}

fn titled(played: &Played, label: &str) -> String {
    match label {
        "" => shown(&played.scenario.name),
        label => format!("{} {}", shown(&played.scenario.name), shown(label)),
    }
}

fn row(played: &Played, label: &str) -> String {
    let name = titled(played, label);
    let figures = format!(
        "{:>9} {:>9} {:>5} {:>8} {:>6}",
        played.decisions,
        played.different,
        played.most_desired,
        short(played.pod_seconds),
        duration(Duration::from_secs(played.panic_seconds)),
    );
    match name.chars().count() > 30 {
        true => format!("{name}\n{:30} {figures}", ""),
        false => format!("{name:30} {figures}"),
    }
}

/// The scenario in the shape that it came in; with other settings, these too.
fn object(played: &Played, variant: &Variant) -> String {
    let line = played.scenario.to_line();
    if variant.pairs.is_empty() {
        return line;
    }
    let mut object: Value = serde_json::from_str(&line).unwrap_or_default();
    if let Some(object) = object.as_object_mut() {
        object.insert("settings".to_owned(), json!(label(&variant.pairs)));
    }
    object.to_string()
}

fn panel(played: &Played, label: &str) -> Panel {
    Panel {
        name: titled(played, label),
        figures: format!(
            "{} decisions, {} not as recorded · panic {} · {} pod-seconds",
            thousands(played.decisions),
            thousands(played.different),
            duration(Duration::from_secs(played.panic_seconds)),
            thousands(played.pod_seconds.round() as u64),
        ),
        points: played.points.clone(),
        width: played.width,
    }
}
