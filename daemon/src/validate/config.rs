// SPDX-License-Identifier: Apache-2.0
//! The settings of a cluster, from its ConfigMaps in files.
//!
//! Depends on: source, api (settings), logic (parsers).

use std::path::PathBuf;

use api::context::Settings;
use api::json::texts;
use api::manifest;
use logic::settings::{Autoscaler, Defaults, Features, Problems};
use serde_json::Value;

use super::source;
use crate::failure::{Exit, Failure};

/// What the ConfigMaps in `files` say; the rest is as installed.
pub(super) fn settings(files: &[PathBuf]) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    for source in source::all(files) {
        let unusable = |why: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("{}: {why}", source.name()), "");
        let text = source.read().map_err(|error| unusable(&error))?;
        add(source.name(), &text, &mut settings)?;
    }
    Ok(settings)
}

/// Adds what the ConfigMaps of one text say.
pub(crate) fn add(name: &str, text: &str, settings: &mut Settings) -> Result<(), Failure> {
    let unusable = |why: String| Failure::new(Exit::Usage, format!("{name}: {why}"), "");
    for object in manifest::objects_in(text).map_err(&unusable)? {
        take(&object, settings).map_err(|problems| unusable(problems.to_string()))?;
    }
    Ok(())
}

fn take(object: &Value, settings: &mut Settings) -> Result<(), Problems> {
    let data = texts(&object["data"]);
    match object["metadata"]["name"].as_str() {
        Some("config-defaults") => settings.defaults = Defaults::parse(&data)?,
        Some("config-features") => settings.features = Features::parse(&data)?,
        Some("config-autoscaler") => settings.autoscaler = Autoscaler::parse(&data)?,
        _ => {}
    }
    Ok(())
}
