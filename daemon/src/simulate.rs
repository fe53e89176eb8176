// SPDX-License-Identifier: Apache-2.0
//! `sluice simulate`: what settings would do to a trace.
//!
//! Mechanism: `source` reads lines and tells the format; requests and load curves go to a closed loop each variant
//! (`closed`), recorded scenarios are replayed (`recorded`); `text`, `json` and logic's chart show it.
//! Invariants: the trace is read once, whatever is compared; every mistake in it names file, line, field and what was expected.
//! Depends on: all below, logic.

mod closed;
mod json;
mod meter;
mod played;
mod recorded;
mod source;
mod spark;
mod text;

use std::{io, path::Path};

use logic::replay::{Format, SettingError, Variant, settings};

use crate::{
    cli::{self, Looks, Trace},
    failure::{Exit, Failure},
};
use source::Source;

/// Runs the command.
pub(crate) fn run(arguments: &cli::Simulate, looks: Looks) -> Result<Exit, Failure> {
    let variants = variants(arguments)?;
    let name = match arguments.trace.as_os_str() == "-" {
        true => "stdin".to_owned(),
        false => arguments.trace.display().to_string(),
    };
    let source = open(&arguments.trace, &name)?;
    let (source, format) = format(source, arguments)?;
    match format {
        Format::Scenarios => recorded::run(source, arguments, &variants, looks),
        Format::Requests | Format::Seconds => closed::run(source, format, arguments, &variants, looks),
    }
}

fn variants(arguments: &cli::Simulate) -> Result<Vec<Variant>, Failure> {
    let compare = arguments.compare.iter().map(|(key, values)| {
        let values = values.split(',').map(|value| value.trim().to_owned());
        (key.clone(), values.collect())
    });
    settings::variants(&arguments.set, &compare.collect::<Vec<_>>()).map_err(|error| wrong_setting(&error))
}

fn wrong_setting(error: &SettingError) -> Failure {
    let help = match error {
        SettingError::Unknown { .. } => {
            let known: Vec<_> = settings::known().collect();
            format!("known are {}", known.join(", "))
        }
        SettingError::TooMany(_) => "compare fewer values, or fewer settings at a time".to_owned(),
        SettingError::Twice(_) => "give each setting once, by --set or by --compare".to_owned(),
        SettingError::Value { .. } | SettingError::Refused(_) => String::new(),
    };
    Failure::new(Exit::Usage, error.to_string(), help)
}

fn open(path: &Path, name: &str) -> Result<Source, Failure> {
    match path.as_os_str() == "-" {
        true => Ok(Source::new(name, Box::new(io::stdin().lock()), None)),
        false => Source::open(path, name),
    }
}

/// What the trace is: as was said, or as it looks.
fn format(mut source: Source, arguments: &cli::Simulate) -> Result<(Source, Format), Failure> {
    let format = match arguments.format {
        Some(Trace::Requests) => Format::Requests,
        Some(Trace::Seconds) => Format::Seconds,
        Some(Trace::Scenarios) => Format::Scenarios,
        None => {
            let format = source.detect()?;
            eprintln!(
                "note: {} is read as {} ({}); --format says otherwise",
                source.name(),
                format.name(),
                format.shape()
            );
            format
        }
    };
    Ok((source, format))
}
