// SPDX-License-Identifier: Apache-2.0
//! What the API server and its webhooks would say to a manifest, without either: YAML or JSON, several documents, lists.
//!
//! Problem: a mistake shows only when a manifest is applied, without the line, and often without what should stand there.
//! Mechanism: the text becomes a tree that knows its lines (`logic::go::yaml`); each object is held against the schema of
//! its kind (`schema`) and then put to the webhooks (`admission`); every finding gets its line (`place`) and, where it can
//! be known, the corrected form (`advice`, `indentation`, `foreign`).
//! Invariants: pure; bounded in depth and size, whatever the text; one judgement for each object and each broken document.
//! Depends on: admission, crd, context, logic (YAML).

mod advice;
mod foreign;
mod indentation;
mod place;
mod schema;

use std::collections::BTreeSet;

use logic::go::yaml::{self, Document, Node};
use serde_json::{Value, json};

use crate::admission::{Operation, Refusal, Request, review};
use crate::context::Settings;
use crate::field_error::{Level, Line};
use crate::kind::Kind;
use foreign::Foreign;

/// How unknown fields are taken, as `kubectl apply --validate` calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownFields {
    /// They are errors: the default of kubectl.
    #[default]
    Strict,
    /// They are warnings: the default of the API.
    Warn,
    /// They are dropped in silence.
    Ignore,
}

/// Under which circumstances manifests are judged.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The ConfigMaps of the cluster.
    pub settings: Settings,
    /// The namespace of objects that name none; empty: `default`.
    pub namespace: String,
    /// How unknown fields are taken.
    pub unknown_fields: UnknownFields,
}

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would be stored.
    Accepted,
    /// It would not.
    Refused,
    /// It is of a kind that this does not judge.
    Skipped,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The object is refused for it.
    Error,
    /// The user is told.
    Warning,
    /// Worth knowing.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where in the text, from 1.
    pub line: usize,
    /// Which field; empty: the object.
    pub field: String,
    /// What, in the words of the API server or the webhook.
    pub message: String,
    /// What to write instead; empty if that cannot be known.
    pub help: String,
}

/// What would become of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The number of its document in the text, from 1.
    pub document: usize,
    /// Where it begins.
    pub line: usize,
    /// Its kind as written; empty if there is none.
    pub kind: String,
    /// Its name as written; empty if there is none.
    pub name: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What was found, by line.
    pub findings: Vec<Finding>,
    /// The object as it would be stored, if it would.
    pub defaulted: Option<Value>,
}

/// Judges every object in `text`.
#[must_use]
pub fn judge(text: &str, circumstances: &Circumstances) -> Vec<Judgement> {
    let (documents, broken) = yaml::documents(text);
    let mut judgements: Vec<Judgement> = documents
        .iter()
        .flat_map(|document| objects(document, circumstances))
        .collect();
    if let Some(broken) = broken {
        let help = indentation::help(text, broken.line);
        judgements.push(of_nothing(
            broken.document,
            Finding {
                severity: Severity::Error,
                line: help.as_ref().map_or(broken.line, |help| help.line),
                field: String::new(),
                message: help
                    .as_ref()
                    .map_or(format!("no YAML: {}", broken.reason), |help| help.message.clone()),
                help: help.map(|help| help.help).unwrap_or_default(),
            },
        ));
    }
    if judgements.is_empty() {
        judgements.push(of_nothing(1, error(1, "", "there is no object in it")));
    }
    judgements
}

/// The objects in `text`, as they are written; those of lists one by one.
///
/// # Errors
/// It is no YAML; the text says where.
pub fn objects_in(text: &str) -> Result<Vec<Value>, String> {
    match yaml::documents(text) {
        (documents, None) => Ok(documents
            .iter()
            .flat_map(|document| single(&document.root))
            .map(Node::to_json)
            .collect()),
        (_, Some(broken)) => Err(format!(
            "line {}, document {}: no YAML: {}",
            broken.line, broken.document, broken.reason
        )),
    }
}

fn error(line: usize, field: &str, message: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Error,
        line,
        field: field.to_owned(),
        message: message.into(),
        help: String::new(),
    }
}

fn of_nothing(document: usize, finding: Finding) -> Judgement {
    Judgement {
        document,
        line: finding.line,
        kind: String::new(),
        name: String::new(),
        verdict: Verdict::Refused,
        findings: vec![finding],
        defaulted: None,
    }
}

/// The objects of a document.
fn objects(document: &Document, circumstances: &Circumstances) -> Vec<Judgement> {
    single(&document.root)
        .into_iter()
        .map(|node| object(document.number, node, circumstances))
        .collect()
}

/// The items of a list, or the object itself.
fn single(node: &Node) -> Vec<&Node> {
    let is_list = node.text("kind").is_some_and(|kind| kind.ends_with("List"));
    match node.get("items") {
        Some(items) if is_list => items.items().iter().collect(),
        _ => vec![node],
    }
}

fn object(document: usize, node: &Node, circumstances: &Circumstances) -> Judgement {
    let text = |key: &str| node.text(key).unwrap_or_default().to_owned();
    let name = node
        .get("metadata")
        .and_then(|metadata| metadata.text("name"))
        .unwrap_or_default();
    let mut judgement = Judgement {
        document,
        line: node.line,
        kind: text("kind"),
        name: name.to_owned(),
        verdict: Verdict::Refused,
        findings: Vec::new(),
        defaulted: None,
    };
    let version = text("apiVersion");
    if !node.is_map() {
        judgement
            .findings
            .push(error(node.line, "", "an object is expected: fields with values"));
    } else if version.is_empty() || judgement.kind.is_empty() {
        let missing = if version.is_empty() { "apiVersion" } else { "kind" };
        judgement.findings.push(error(
            node.line,
            missing,
            "missing: every object says its apiVersion and its kind",
        ));
    } else if let Some(kind) = Kind::find(&version, &judgement.kind) {
        of_kind(kind, node, circumstances, &mut judgement);
    } else {
        let line = place::line(node, "kind");
        let Foreign { verdict, message, help } = foreign::judge(&version, &judgement.kind, node);
        judgement.verdict = verdict;
        judgement.findings.push(Finding {
            severity: if verdict == Verdict::Skipped {
                Severity::Note
            } else {
                Severity::Error
            },
            line,
            field: "kind".to_owned(),
            message,
            help,
        });
    }
    judgement
}

fn of_kind(kind: Kind, node: &Node, circumstances: &Circumstances, judgement: &mut Judgement) {
    let schema = crate::crd::definition(kind);
    let schema = &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut findings = schema::check(node, schema, circumstances.unknown_fields);
    let has_wrong_type = findings
        .iter()
        .any(|finding| finding.message.starts_with(schema::WRONG_TYPE));
    // What has a wrong type does not get past decoding; the schema says it with the line.
    if !has_wrong_type {
        let mut object = schema::pruned(node, schema);
        put_in_namespace(&mut object, kind, circumstances);
        let outcome = review(
            &Request {
                kind,
                operation: Operation::Create,
                sub_resource: "",
                user: "you",
                object: &object,
                old_object: &Value::Null,
            },
            &circumstances.settings,
        );
        judgement.defaulted = outcome.defaulted;
        if let Some(refusal @ Refusal::Defaulting { .. }) = &outcome.refusal {
            findings.push(error(node.line, "", refusal.to_string()));
        }
        findings.extend(
            outcome
                .errors
                .lines(Level::Error)
                .iter()
                .flat_map(|line| shown(line, Severity::Error, node)),
        );
        findings.extend(
            outcome
                .errors
                .lines(Level::Warning)
                .iter()
                .flat_map(|line| shown(line, Severity::Warning, node)),
        );
    }
    findings.sort_by(|left, right| (left.line, &left.field).cmp(&(right.line, &right.field)));
    let mut absent = BTreeSet::new();
    findings.retain(|finding| !finding.is_absence() || absent.insert(finding.field.clone()));
    let is_refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    judgement.verdict = if is_refused {
        Verdict::Refused
    } else {
        Verdict::Accepted
    };
    if is_refused {
        judgement.defaulted = None;
    }
    judgement.findings = findings;
}

impl Finding {
    /// Whether it says that a field is absent; schema and webhook both do.
    fn is_absence(&self) -> bool {
        self.message == schema::REQUIRED || self.message.starts_with("missing field(s)")
    }
}

fn put_in_namespace(object: &mut Value, kind: Kind, circumstances: &Circumstances) {
    let namespace = match circumstances.namespace.as_str() {
        "" => "default",
        namespace => namespace,
    };
    let Some(fields) = object.as_object_mut() else { return };
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut().filter(|_| kind.is_namespaced()) {
        metadata.entry("namespace").or_insert_with(|| namespace.into());
    }
}

/// A line of the webhook: a finding for each field; one for all fields of a warning, since nothing must be done at each.
fn shown(line: &Line, severity: Severity, node: &Node) -> Vec<Finding> {
    let message = match line.details.as_str() {
        "" => line.message.clone(),
        details => format!("{} ({})", line.message, details.replace('\n', "; ")),
    };
    let all = line.paths.join(", ");
    let first = line.paths.first().map(String::as_str).unwrap_or_default();
    let fields: Vec<(&str, &str)> = match severity {
        Severity::Error if !line.paths.is_empty() => {
            line.paths.iter().map(|path| (path.as_str(), path.as_str())).collect()
        }
        _ => vec![(all.as_str(), first)],
    };
    fields
        .into_iter()
        .map(|(field, path)| Finding {
            severity,
            line: place::line(node, path),
            field: field.to_owned(),
            message: message.clone(),
            help: advice::of(&line.message, path, node),
        })
        .collect()
}

#[cfg(test)]
mod tests;
