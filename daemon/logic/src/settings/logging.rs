// SPDX-License-Identifier: Apache-2.0
//! config-logging: levels by component (data-plane spec 6).
//!
//! Depends on: table.

use super::problem::Problems;
use super::table::{Data, Reading};
use std::collections::BTreeMap;
use std::fmt;

/// The settings of config-logging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// The configuration of Knative's logger, in JSON; Sluice takes its level.
    pub zap_config: Option<String>,
    /// Levels by component.
    pub levels: BTreeMap<String, Level>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// What looks wrong.
    Warn,
    /// What is wrong.
    Error,
    /// What should never be.
    DPanic,
    /// What stops a task.
    Panic,
    /// What stops the process.
    Fatal,
}

const CONFIG: &str = "zap-logger-config";
const LEVEL: &str = "loglevel.";

impl Logging {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut reading = Reading::of(data);
        let mut levels = BTreeMap::new();
        for (key, text) in data.iter().filter(|(_, text)| !text.is_empty()) {
            let Some(component) = component(key) else { continue };
            match Level::parse(text) {
                Some(level) => drop(levels.insert(component.to_owned(), level)),
                None => reading.add(key, format!("invalid logging level: {text}")),
            }
        }
        reading.finish(Self {
            zap_config: data.get(CONFIG).cloned(),
            levels,
        })
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        vec![CONFIG]
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        key == CONFIG || component(key).is_some()
    }

    /// The level of a component: its own, else that of the logger's configuration, else `info`.
    #[must_use]
    pub fn level_of(&self, component: &str) -> Level {
        self.levels
            .get(component)
            .copied()
            .or_else(|| self.configured())
            .unwrap_or(Level::Info)
    }

    fn configured(&self) -> Option<Level> {
        let config: serde_json::Value = serde_json::from_str(self.zap_config.as_ref()?).ok()?;
        Level::parse(config.get("level")?.as_str()?)
    }
}

fn component(key: &str) -> Option<&str> {
    key.strip_prefix(LEVEL).filter(|component| !component.is_empty())
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "dpanic" => Self::DPanic,
            "panic" => Self::Panic,
            "fatal" => Self::Fatal,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&format!("{self:?}").to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_level_wins_over_the_configured_one() {
        let data = [(CONFIG, "{\"level\": \"error\"}"), ("loglevel.webhook", "DEBUG")];
        let data = data.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let logging = Logging::parse(&data).unwrap();
        assert_eq!(logging.level_of("webhook"), Level::Debug);
        assert_eq!(logging.level_of("controller"), Level::Error);
        assert_eq!(Logging::default().level_of("controller"), Level::Info);
    }
}
