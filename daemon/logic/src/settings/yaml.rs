// SPDX-License-Identifier: Apache-2.0
//! YAML inside a key, read as Kubernetes' YAML library reads it: made into JSON, then decoded by field.
//!
//! Invariants: a document may be empty; of two equal keys the last counts; fields are found whatever their case; a number or
//! boolean where a text is wanted is taken as text. Errors start as those of Kubernetes.
//! Depends on: go.

use crate::go::{print, yaml};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Texts by name.
pub(super) type Texts = BTreeMap<String, String>;

/// A text that is not what is wanted; prints as Kubernetes prints it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum YamlError {
    /// Not YAML.
    #[error("error converting YAML to JSON: yaml: {}{reason}", named_line(*.line))]
    Syntax { line: usize, reason: String },
    /// Something else than this type.
    #[error("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into {place}")]
    Type { found: &'static str, place: String },
}

/// The first line is not named.
fn named_line(line: usize) -> String {
    if line > 1 {
        format!("line {line}: ")
    } else {
        String::new()
    }
}

/// The first document; `Null` if there is none.
pub(super) fn document(text: &str) -> Result<Value, YamlError> {
    let (documents, broken) = yaml::documents(text);
    if let Some(broken) = broken.filter(|broken| broken.document == 1) {
        return Err(YamlError::Syntax {
            line: broken.line,
            reason: broken.reason,
        });
    }
    let first = documents.iter().find(|document| document.number == 1);
    Ok(first.map_or(Value::Null, |document| document.root.to_json()))
}

/// A value that must be of the Go type `name`.
pub(super) struct Object<'a> {
    name: &'static str,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Object<'a> {
    /// No fields at all if it is null.
    pub(super) fn of(value: &'a Value, name: &'static str) -> Result<Self, YamlError> {
        Self::at(value, name, format!("Go value of type {name}"))
    }

    fn at(value: &'a Value, name: &'static str, place: String) -> Result<Self, YamlError> {
        match value {
            Value::Null => Ok(Self { name, fields: None }),
            Value::Object(fields) => Ok(Self {
                name,
                fields: Some(fields),
            }),
            other => Err(mistyped(other, place)),
        }
    }

    /// The field, unless absent or null.
    fn field(&self, field: &str) -> Option<&'a Value> {
        let fields = self.fields?;
        fields
            .get(field)
            .or_else(|| {
                fields
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case(field))
                    .map(|(_, value)| value)
            })
            .filter(|value| !value.is_null())
    }

    /// The field as a text.
    pub(super) fn text(&self, field: &str) -> Result<Option<String>, YamlError> {
        self.field(field)
            .map(|value| text(value, || self.place(field, "string")))
            .transpose()
    }

    /// The field as texts by name; empty if absent.
    pub(super) fn texts(&self, field: &str) -> Result<Texts, YamlError> {
        match self.field(field) {
            None => Ok(Texts::new()),
            Some(value) => texts(value, || self.place(field, "map[string]string")),
        }
    }

    /// The field as objects of the Go type `name`; empty if absent.
    pub(super) fn objects(&self, field: &str, name: &'static str) -> Result<Vec<Object<'a>>, YamlError> {
        let place = || self.place(field, &format!("[]{name}"));
        self.items(field, place)?
            .iter()
            .map(|item| Object::at(item, name, self.place(field, name)))
            .collect()
    }

    /// The field as a list of texts; empty if absent.
    pub(super) fn list(&self, field: &str) -> Result<Vec<String>, YamlError> {
        self.items(field, || self.place(field, "[]string"))?
            .iter()
            .map(|item| text(item, || self.place(field, "string")))
            .collect()
    }

    fn items(&self, field: &str, place: impl Fn() -> String) -> Result<&'a [Value], YamlError> {
        match self.field(field) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(mistyped(other, place())),
        }
    }

    fn place(&self, field: &str, wanted: &str) -> String {
        let short = self.name.rsplit('.').next().unwrap_or(self.name);
        format!("Go struct field {short}.{field} of type {wanted}")
    }
}

/// The entries of a map, whose values are of the Go type `name`; empty if null.
pub(super) fn entries<'a>(value: &'a Value, name: &'static str) -> Result<Vec<(&'a str, Object<'a>)>, YamlError> {
    let map = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Object(map) => map,
        other => return Err(mistyped(other, format!("Go value of type map[string]{name}"))),
    };
    map.iter()
        .map(|(key, value)| Ok((key.as_str(), Object::of(value, name)?)))
        .collect()
}

fn texts(value: &Value, place: impl Fn() -> String) -> Result<Texts, YamlError> {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                Ok((
                    key.clone(),
                    text(value, || place().replace("map[string]string", "string"))?,
                ))
            })
            .collect(),
        other => Err(mistyped(other, place())),
    }
}

fn text(value: &Value, place: impl Fn() -> String) -> Result<String, YamlError> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(match number.as_f64() {
            Some(value) if number.is_f64() => print::short_float(value),
            _ => number.to_string(),
        }),
        other => Err(mistyped(other, place())),
    }
}

fn mistyped(value: &Value, place: String) -> YamlError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    YamlError::Type { found, place }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Value {
        document(text).unwrap()
    }

    #[test]
    fn an_empty_document_is_null() {
        for text in ["", "\n", "# only a comment\n", "~", "---\n"] {
            assert_eq!(parsed(text), Value::Null, "{text:?}");
        }
    }

    #[test]
    fn scalars_become_texts_where_texts_are_wanted() {
        let value =
            parsed("Selector: {a: true, b: 5, c: 1000000.5, d: ~, e: yes, f: 010, g: 0x10, h: 1e3, i: yEs, j: .1}");
        let texts = Object::of(&value, "config.x").unwrap().texts("selector").unwrap();
        assert_eq!(
            texts.into_values().collect::<Vec<_>>(),
            [
                "true",
                "5",
                "1.0000005e+06",
                "",
                "true",
                "8",
                "16",
                "1000",
                "yEs",
                "0.1"
            ]
        );
    }

    #[test]
    fn only_the_first_document_counts() {
        assert_eq!(parsed("~\n---\na: 1"), Value::Null);
        assert_eq!(parsed("a: 1\n---\n[").to_string(), r#"{"a":1}"#);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(parsed("{a: 1, a: 2}"), serde_json::json!({"a": 2}));
    }

    #[test]
    fn wrong_texts_say_where_or_what() {
        let error = document("a: b\nc: [").unwrap_err().to_string();
        assert!(
            error.starts_with("error converting YAML to JSON: yaml: line "),
            "{error}"
        );
        let value = parsed("selector: 5");
        let error = Object::of(&value, "config.domainInternalConfig")
            .unwrap()
            .texts("selector")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal number into Go struct field \
             domainInternalConfig.selector of type map[string]string"
        );
    }
}
