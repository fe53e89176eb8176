// SPDX-License-Identifier: Apache-2.0
//! The topics: which file each reads, and who judges its cases. One module a topic.
//!
//! Depends on: data, report.

mod admission;
mod conditions;
mod configmaps;
mod ingress;
mod kinds;
mod kpa_decider;
mod manifests;
mod revision_objects;
mod throttle;

use crate::data::{self, Case};
use crate::report::Verdict;
use anyhow::Result;
use std::path::Path;

/// A file of cases, and their judge.
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    source: Source,
    pub(crate) judge: fn(&Case) -> Verdict,
}

/// Where the cases of a topic stand.
enum Source {
    /// One a line of this file.
    Lines(&'static str),
    /// One a file of this folder, with this ending.
    Folder(&'static str, &'static str),
}

impl Topic {
    /// Every case in `folder`.
    pub(crate) fn cases(&self, folder: &Path) -> Result<Vec<Case>> {
        match self.source {
            Source::Lines(file) => data::lines(folder, file),
            Source::Folder(name, ending) => data::files(&folder.join(name), ending),
        }
    }
}

/// Every topic there is.
pub(crate) const ALL: &[Topic] = &[
    Topic {
        name: "configmaps",
        source: Source::Lines("configmaps.jsonl"),
        judge: configmaps::judge,
    },
    Topic {
        name: "ingress",
        source: Source::Lines("ingress.jsonl"),
        judge: ingress::judge,
    },
    Topic {
        name: "admission",
        source: Source::Lines("admission.jsonl"),
        judge: admission::judge,
    },
    Topic {
        name: "kinds",
        source: Source::Lines("admission.jsonl"),
        judge: kinds::judge,
    },
    Topic {
        name: "kpa-decider",
        source: Source::Lines("kpa-decider.jsonl"),
        judge: kpa_decider::judge,
    },
    Topic {
        name: "manifests",
        source: Source::Folder("manifests", "yaml"),
        judge: manifests::judge,
    },
    Topic {
        name: "revision-objects",
        source: Source::Lines("revision-objects.jsonl"),
        judge: revision_objects::judge,
    },
    Topic {
        name: "throttle",
        source: Source::Lines("throttle.jsonl"),
        judge: throttle::judge,
    },
];
