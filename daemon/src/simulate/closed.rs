// SPDX-License-Identifier: Apache-2.0
//! Requests and load curves, played by every variant at once.
//!
//! Depends on: json, played, source, text, logic.

use logic::replay::{
    Format, LineError, Simulation, Variant,
    chart::{Chart, Panel},
    settings::label,
    trace::{
        requests,
        seconds::{self, Maker},
    },
};

use super::{json, played::Played, source::Source, text};
use crate::{
    cli::{self, Looks, Shown},
    failure::{Exit, Failure},
    output,
};

const SECOND: u64 = 1_000_000_000;

/// Plays the trace and shows what came of it.
pub(super) fn run(
    mut source: Source,
    format: Format,
    arguments: &cli::Simulate,
    variants: &[Variant],
    looks: Looks,
) -> Result<Exit, Failure> {
    source.expect(format);
    let simulations = match format {
        Format::Seconds => play_seconds(&mut source, variants)?,
        _ => play_requests(&mut source, variants)?,
    };
    if simulations.is_empty() {
        return Err(source.empty(format.shape()));
    }
    let played: Vec<_> = variants
        .iter()
        .zip(simulations)
        .map(|(variant, simulation)| Played {
            variant,
            outcome: simulation.finish(),
        })
        .collect();
    for result in played.iter().filter(|result| result.outcome.is_capped) {
        eprintln!(
            "note: {}more pods were wanted than a simulation has (10000)",
            prefixed(&result.variant.label)
        );
    }
    let lines = match arguments.output {
        Shown::Table => text::lines(source.name(), &label(&arguments.set), &played, looks.colour),
        Shown::Json => played
            .iter()
            .map(|result| json::line(source.name(), format, result))
            .collect(),
        Shown::Svg => vec![picture(source.name(), &label(&arguments.set), &played).to_svg()],
    };
    output::print(&lines)?;
    Ok(Exit::Done)
}

fn prefixed(label: &str) -> String {
    match label {
        "" => String::new(),
        label => format!("{label}: "),
    }
}

fn play_requests(source: &mut Source, variants: &[Variant]) -> Result<Vec<Simulation>, Failure> {
    let mut reader = requests::Reader::default();
    let mut simulations = Vec::new();
    while let Some(arrival) = parsed(source, |line| reader.line(line))? {
        let Some(arrival) = arrival else { continue };
        if simulations.is_empty() {
            simulations = begin(variants, arrival.start);
        }
        for simulation in &mut simulations {
            arrive(source, simulation, arrival)?;
        }
    }
    Ok(simulations)
}

fn play_seconds(source: &mut Source, variants: &[Variant]) -> Result<Vec<Simulation>, Failure> {
    let mut reader = seconds::Reader::default();
    let mut simulations = Vec::new();
    let mut makers = vec![Maker::default(); variants.len()];
    while let Some(row) = parsed(source, |line| reader.line(line))? {
        let Some(row) = row else { continue };
        if simulations.is_empty() {
            simulations = begin(variants, row.second.saturating_mul(SECOND));
        }
        for ((simulation, maker), variant) in simulations.iter_mut().zip(&mut makers).zip(variants) {
            for arrival in maker.requests(row, variant.settings.model.duration) {
                arrive(source, simulation, arrival)?;
            }
            simulation.last_until(row.second.saturating_add(1).saturating_mul(SECOND));
        }
    }
    Ok(simulations)
}

/// The next line, read; `None` at the end.
fn parsed<T>(source: &mut Source, read: impl FnOnce(&str) -> Result<T, LineError>) -> Result<Option<T>, Failure> {
    let read = match source.next()? {
        Some(line) => read(line),
        None => return Ok(None),
    };
    read.map(Some).map_err(|error| source.wrong(&error))
}

fn begin(variants: &[Variant], start: u64) -> Vec<Simulation> {
    let begun = variants.iter().map(|variant| Simulation::new(&variant.settings, start));
    begun.collect()
}

fn arrive(source: &Source, simulation: &mut Simulation, arrival: requests::Arrival) -> Result<(), Failure> {
    let help = "set a capacity and a queue, so that requests are refused";
    simulation
        .arrive(arrival)
        .map_err(|error| source.stopped(&error.to_string(), help))
}

fn picture(name: &str, set: &str, played: &[Played<'_>]) -> Chart {
    let panels = played.iter().map(|result| Panel {
        name: match result.variant.label.as_str() {
            "" => "pods and load".to_owned(),
            label => label.to_owned(),
        },
        figures: text::figures(&result.outcome),
        points: result.outcome.points.clone(),
        width: result.outcome.width,
    });
    let count = played.first().map_or(0, |result| result.outcome.requests);
    let file = name.rsplit('/').next().unwrap_or(name);
    Chart {
        title: format!("{file}: {} requests", text::thousands(count)),
        subtitle: match set {
            "" => "settings: defaults".to_owned(),
            set => format!("settings: {set}"),
        },
        load: "requests in flight".to_owned(),
        panels: panels.collect(),
    }
}
