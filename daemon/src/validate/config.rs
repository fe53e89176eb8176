// SPDX-License-Identifier: Apache-2.0
//! The settings of a cluster, from its ConfigMaps in files.
//!
//! Depends on: source, api (settings), logic (parsers).

use std::path::PathBuf;

use api::context::Settings;
use api::manifest;
use logic::settings::{Autoscaler, Data, Defaults, Features, Problems};
use serde_json::Value;

use super::source::Source;
use crate::failure::{Exit, Failure};

/// What the ConfigMaps in `files` say; the rest is as installed.
pub(super) fn settings(files: &[PathBuf]) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    for file in files {
        let source = Source::of(file.clone());
        let unusable = |why: String| Failure::new(Exit::Usage, format!("{}: {why}", source.name()), "");
        let text = source.read().map_err(|error| unusable(error.to_string()))?;
        for object in manifest::objects_in(&text).map_err(&unusable)? {
            take(&object, &mut settings).map_err(|problems| unusable(problems.to_string()))?;
        }
    }
    Ok(settings)
}

fn take(object: &Value, settings: &mut Settings) -> Result<(), Problems> {
    let data: Data = object["data"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    match object["metadata"]["name"].as_str() {
        Some("config-defaults") => settings.defaults = Defaults::parse(&data)?,
        Some("config-features") => settings.features = Features::parse(&data)?,
        Some("config-autoscaler") => settings.autoscaler = Autoscaler::parse(&data)?,
        _ => {}
    }
    Ok(())
}
