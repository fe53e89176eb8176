// SPDX-License-Identifier: Apache-2.0
//! How requests are logged: `json`, or a template.
//!
//! Depends on: logic::settings::template, proxy, serde.

use logic::settings::template::Template;
use proxy::LogFormat;
use serde::Deserialize;

/// `json`, or a template of Knative's request log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(in crate::proxy) struct Log(String);

impl Log {
    /// How a line is written.
    pub(in crate::proxy) fn format(&self) -> Result<LogFormat, String> {
        match self.0.as_str() {
            "json" => Ok(LogFormat::Json),
            text => Template::parse("log", text)
                .map(LogFormat::Template)
                .map_err(|fault| fault.to_string()),
        }
    }
}
