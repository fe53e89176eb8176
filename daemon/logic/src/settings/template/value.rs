// SPDX-License-Identifier: Apache-2.0
//! What a template is rendered over.
//!
//! Depends on: nothing.

use crate::go::print;
use std::collections::BTreeMap;

/// A value a template can reach.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Labels, annotations.
    Map(BTreeMap<String, String>),
    /// Values in order.
    List(Vec<Value>),
    /// Headers, by their canonical names; `Get` and `Values` are its methods.
    Header(BTreeMap<String, Vec<String>>),
    /// Words of a query, by their names as they are; `Get` and `Has` are its methods.
    Query(BTreeMap<String, Vec<String>>),
    /// Named fields.
    Record(Record),
    /// The same, of something that is printed in its own way.
    Shown(String, Record),
    /// Nothing: a key that a map does not have.
    Missing,
}

/// Named fields, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// As Go calls the type in errors.
    pub type_name: &'static str,
    /// By name.
    pub fields: Vec<(&'static str, Value)>,
}

impl Record {
    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    }
}

impl Value {
    /// Whether `if` takes it for true: what is not zero and not empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Integer(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Bool(value) => *value,
            Self::Map(map) => !map.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Header(map) | Self::Query(map) => !map.is_empty(),
            Self::Record(_) | Self::Shown(..) => true,
            Self::Missing => false,
        }
    }

    /// As Go prints it.
    pub(super) fn printed(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => print::float(*value),
            Self::Bool(value) => value.to_string(),
            Self::Map(map) => {
                let entries: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("map[{}]", entries.join(" "))
            }
            Self::List(list) => bracketed(list.iter().map(Self::printed)),
            Self::Shown(text, _) => text.clone(),
            Self::Header(map) | Self::Query(map) => {
                let entry =
                    |(name, values): (&String, &Vec<String>)| format!("{name}:{}", bracketed(values.iter().cloned()));
                format!("map{}", bracketed(map.iter().map(entry)))
            }
            Self::Record(record) => {
                let fields: Vec<_> = record.fields.iter().map(|(_, value)| value.printed()).collect();
                format!("{{{}}}", fields.join(" "))
            }
            Self::Missing => "<no value>".to_owned(),
        }
    }

    /// As Go calls its type in errors.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Integer(_) => "int",
            Self::Float(_) => "float64",
            Self::Bool(_) => "bool",
            Self::Map(_) => "map[string]string",
            Self::List(_) => "[]string",
            Self::Header(_) => "http.Header",
            Self::Query(_) => "url.Values",
            Self::Record(record) | Self::Shown(_, record) => record.type_name,
            Self::Missing => "nil",
        }
    }
}

fn bracketed(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(" "))
}

/// A header's name as Go writes it: `x-multi` is `X-Multi`.
#[must_use]
pub fn canonical(name: &str) -> String {
    let mut starts = true;
    name.chars()
        .map(|char| {
            let cased = if starts {
                char.to_ascii_uppercase()
            } else {
                char.to_ascii_lowercase()
            };
            starts = char == '-';
            cased
        })
        .collect()
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
