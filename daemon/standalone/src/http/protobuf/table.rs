// SPDX-License-Identifier: Apache-2.0
//! The table of messages.
//!
//! Depends on: nothing.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A field of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u64,
    /// Its name in JSON; `.` if its fields are the message's own there.
    pub(super) name: &'static str,
    /// Whether it is in JSON also when it is empty.
    pub(super) stays: bool,
    pub(super) form: Form,
}

/// How a value is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Bytes,
    Number,
    Truth,
    Message(&'static str),
    Special(Special),
    List(Box<Form>),
    Map(Box<Form>),
}

/// Messages that are no objects in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    Quantity,
    Time,
    MicroTime,
    Duration,
    /// A number or a text.
    Either,
    /// JSON as it is.
    Raw,
}

type Table = HashMap<&'static str, Vec<Field>>;

static TABLE: LazyLock<Table> = LazyLock::new(|| include_str!("fields.txt").lines().filter_map(line).collect());

/// The fields of a message.
pub(super) fn message(name: &str) -> &'static [Field] {
    TABLE.get(name).map(Vec::as_slice).unwrap_or_default()
}

/// The message of a kind.
pub(super) fn of_kind(api_version: &str, kind: &str) -> Option<&'static [Field]> {
    let package = match api_version {
        _ if kind == "DeleteOptions" => "meta",
        "v1" => "core",
        "apps/v1" => "apps",
        "autoscaling/v1" | "autoscaling/v2" => "autoscaling",
        "coordination.k8s.io/v1" => "coordination",
        "discovery.k8s.io/v1" => "discovery",
        _ => return None,
    };
    TABLE.get(format!("{package}.{kind}").as_str()).map(Vec::as_slice)
}

fn line(line: &'static str) -> Option<(&'static str, Vec<Field>)> {
    if line.starts_with('#') {
        return None;
    }
    let mut words = line.split_whitespace();
    Some((words.next()?, words.filter_map(field).collect()))
}

fn field(word: &'static str) -> Option<Field> {
    let (number, rest) = word.split_once('=')?;
    let (name, text) = rest.split_once(':')?;
    Some(Field {
        number: number.parse().ok()?,
        name: name.trim_end_matches('!'),
        stays: name.ends_with('!'),
        form: form(text)?,
    })
}

fn form(text: &'static str) -> Option<Form> {
    if let Some(item) = text.strip_prefix('*') {
        return form(item).map(|form| Form::List(Box::new(form)));
    }
    if let Some(item) = text.strip_prefix('%') {
        return form(item).map(|form| Form::Map(Box::new(form)));
    }
    Some(match text {
        "s" => Form::Text,
        "b" => Form::Bytes,
        "i" => Form::Number,
        "f" => Form::Truth,
        "+quantity" => Form::Special(Special::Quantity),
        "+time" => Form::Special(Special::Time),
        "+microtime" => Form::Special(Special::MicroTime),
        "+duration" => Form::Special(Special::Duration),
        "+either" => Form::Special(Special::Either),
        "+raw" => Form::Special(Special::Raw),
        name => Form::Message(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(form: &Form) -> Option<&'static str> {
        match form {
            Form::Message(name) => Some(name),
            Form::List(inner) | Form::Map(inner) => names(inner),
            _ => None,
        }
    }

    #[test]
    fn every_line_is_read_and_every_message_it_names_is_there() {
        let lines = include_str!("fields.txt").lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let mut words = line.split_whitespace();
            let fields = message(words.next().unwrap());
            assert_eq!(fields.len(), words.count(), "{line}");
            for name in fields.iter().filter_map(|field| names(&field.form)) {
                assert!(TABLE.contains_key(name), "{name} of {line}");
            }
        }
    }

    #[test]
    fn every_kind_of_kubernetes_that_is_served_is_known() {
        for resource in crate::resource::all()
            .iter()
            .filter(|resource| resource.knative.is_none())
        {
            assert!(
                of_kind(&resource.api_version(), resource.kind).is_some(),
                "{}",
                resource.kind
            );
        }
    }
}
