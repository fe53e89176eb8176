// SPDX-License-Identifier: Apache-2.0
//! `sluice validate`: what the API server and its webhooks would say to manifests, without either.
//!
//! Mechanism: `source` reads, `config` takes the settings of a cluster from its ConfigMaps, `api::manifest` judges, `shown`
//! makes lines of it.
//! Invariants: at most so much is read of a file as the API server would take; no file stops the others.
//! Depends on: api, logic.

pub(crate) mod config;
pub(crate) mod shown;
pub(crate) mod source;

use api::manifest::{self, Circumstances, Verdict};

use crate::cli::{self, Format};
use crate::failure::{Exit, Failure};
use crate::output;

/// Runs the command.
pub(crate) fn run(arguments: &cli::Validate) -> Result<Exit, Failure> {
    let circumstances = Circumstances {
        settings: config::settings(&arguments.config)?,
        namespace: arguments.namespace.clone(),
        unknown_fields: match arguments.unknown_fields {
            cli::UnknownFields::Strict => manifest::UnknownFields::Strict,
            cli::UnknownFields::Warn => manifest::UnknownFields::Warn,
            cli::UnknownFields::Ignore => manifest::UnknownFields::Ignore,
        },
    };
    let mut exit = Exit::Done;
    for source in source::all(&arguments.files) {
        let text = match source.read() {
            Ok(text) => text,
            Err(unreadable) => {
                eprintln!("error: {}: {unreadable}", source.name());
                exit = Exit::Usage;
                continue;
            }
        };
        for judgement in manifest::judge(&text, &circumstances) {
            if judgement.verdict == Verdict::Refused && exit == Exit::Done {
                exit = Exit::Failed;
            }
            output::print(&match arguments.output {
                Format::Table => shown::lines(source.name(), &judgement),
                Format::Json => vec![shown::json(source.name(), &judgement).to_string()],
            })?;
        }
    }
    Ok(exit)
}
