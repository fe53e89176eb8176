// SPDX-License-Identifier: Apache-2.0
//! The topics: which file each reads, and who judges its cases. One module a topic.
//!
//! Depends on: data, report.

mod admission;
mod conditions;
mod configmaps;
mod http;
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
    judge: fn(&Case) -> Verdict,
}

/// Where the cases of a topic stand.
enum Source {
    /// One a line of this file.
    Lines(&'static str),
    /// One a file of this folder, with this ending.
    Folder(&'static str, &'static str),
    /// The same; most of their time is waiting, so all are judged side by side.
    SideBySide(&'static str, fn(&[&Case]) -> Vec<Verdict>),
}

/// Topics that are judged only when they are named, while not all of their cases pass.
const ONLY_WHEN_NAMED: &[&str] = &[];

impl Topic {
    /// Every case in `folder`.
    pub(crate) fn cases(&self, folder: &Path) -> Result<Vec<Case>> {
        match self.source {
            Source::Lines(file) | Source::SideBySide(file, _) => data::lines(folder, file),
            Source::Folder(name, ending) => data::files(&folder.join(name), ending),
        }
    }

    /// What becomes of each case.
    pub(crate) fn verdicts(&self, cases: &[&Case]) -> Vec<Verdict> {
        match self.source {
            Source::Lines(_) | Source::Folder(..) => cases.iter().map(|case| (self.judge)(case)).collect(),
            Source::SideBySide(_, judge) => judge(cases),
        }
    }

    /// Whether it is left out unless it is named.
    pub(crate) fn is_hidden(&self) -> bool {
        ONLY_WHEN_NAMED.contains(&self.name)
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
        name: "http",
        source: Source::SideBySide("http.jsonl", http::judge),
        judge: http::judge_one,
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
