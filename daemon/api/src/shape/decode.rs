// SPDX-License-Identifier: Apache-2.0
//! Reads a value by its table and writes it as Go would.
//!
//! Invariants: the first value of a wrong type is the error; unknown fields are dropped; `null` is absence.
//! Depends on: its parent's tables.

use k8s_openapi::jiff::Timestamp;
use logic::go::url;
use logic::quantity::Quantity;
use serde_json::{Map, Value, json};

use super::{Field, Presence, Record, Shape};

/// A value of a wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not what the field holds.
    #[error("json: cannot unmarshal {found} into Go struct field {record}.{path} of type {wanted}")]
    Type {
        /// What stands there: `string`, `number`, …
        found: String,
        /// The struct with the field.
        record: &'static str,
        /// Where, from the root, without indices.
        path: String,
        /// Go's name of the type.
        wanted: String,
    },
    /// A text that says nothing in its field.
    #[error("{0}")]
    Text(String),
}

/// The object as Go's structs hold it.
///
/// # Errors
/// A value of a wrong type.
pub fn decode(value: &Value, record: &'static Record) -> Result<Value, DecodeError> {
    let root = Place {
        record,
        key: "",
        above: None,
    };
    match value {
        Value::Object(fields) => object(fields, record, &root).map(Value::Object),
        Value::Null => object(&Map::new(), record, &root).map(Value::Object),
        other => Err(root.error(other, record.name)),
    }
}

/// Where in the object we are; only an error needs it as a text.
struct Place<'a> {
    record: &'static Record,
    key: &'a str,
    above: Option<&'a Place<'a>>,
}

impl Place<'_> {
    fn at<'b>(&'b self, record: &'static Record, key: &'b str) -> Place<'b> {
        let above = Some(self);
        Place { record, key, above }
    }

    fn path(&self) -> String {
        match self.above.map(Self::path) {
            None => self.key.to_owned(),
            Some(above) if above.is_empty() => self.key.to_owned(),
            Some(above) => format!("{above}.{}", self.key),
        }
    }

    fn error(&self, found: &Value, wanted: &str) -> DecodeError {
        DecodeError::Type {
            found: kind_of(found),
            record: self.record.name,
            path: self.path(),
            wanted: wanted.to_owned(),
        }
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn object(
    fields: &Map<String, Value>,
    record: &'static Record,
    place: &Place,
) -> Result<Map<String, Value>, DecodeError> {
    let mut written = Map::new();
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let Some(field) = record.field(key) else { continue };
        let value = read(value, field.shape, &place.at(record, field.key))?;
        let drops = field.presence == Presence::UnlessEmpty && is_zero(&value, field.shape);
        if !drops {
            written.insert(field.key.to_owned(), value);
        }
    }
    for field in record.all_fields() {
        if !written.contains_key(field.key)
            && let Some(zero) = zero_that_is_written(field)
        {
            written.insert(field.key.to_owned(), zero);
        }
    }
    Ok(written)
}

fn read(value: &Value, shape: Shape, place: &Place) -> Result<Value, DecodeError> {
    match (shape, value) {
        (Shape::Any, _) | (Shape::Flag, Value::Bool(_)) | (Shape::Text, Value::String(_)) => Ok(value.clone()),
        (Shape::Int32, Value::Number(number)) if fits_32_bits(number) => Ok(value.clone()),
        (Shape::Int64, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
        (Shape::IntOrText, Value::String(_)) => Ok(value.clone()),
        (Shape::IntOrText, Value::Number(number)) if fits_32_bits(number) => Ok(value.clone()),
        (Shape::Url, Value::String(text)) => url::normal(text)
            .map(Value::String)
            .map_err(|error| DecodeError::Text(error.to_string())),
        (Shape::Amount, Value::String(text)) => amount(text.trim()),
        (Shape::Amount, Value::Number(number)) => amount(&number.to_string()),
        (Shape::Time, Value::String(text)) => time(text),
        (Shape::List(of), Value::Array(items)) => items
            .iter()
            .map(|item| element(item, *of, place))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        (Shape::Map(of), Value::Object(entries)) => entries
            .iter()
            .map(|(key, value)| element(value, *of, &place.at(place.record, key)).map(|value| (key.clone(), value)))
            .collect::<Result<_, _>>()
            .map(Value::Object),
        (Shape::Record(record), Value::Object(fields)) => object(fields, record, place).map(Value::Object),
        _ => Err(place.error(value, &type_name(shape))),
    }
}

/// An element of a list or a map: `null` is its zero value.
fn element(value: &Value, shape: Shape, place: &Place) -> Result<Value, DecodeError> {
    match value {
        Value::Null => Ok(zero(shape)),
        value => read(value, shape, place),
    }
}

fn fits_32_bits(number: &serde_json::Number) -> bool {
    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}

fn amount(text: &str) -> Result<Value, DecodeError> {
    let amount = Quantity::parse(text).map_err(|error| DecodeError::Text(error.to_string()))?;
    Ok(Value::String(amount.to_string()))
}

fn time(text: &str) -> Result<Value, DecodeError> {
    let time: Timestamp = text
        .parse()
        .map_err(|_| DecodeError::Text(format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\"")))?;
    let is_whole = time.subsec_nanosecond() == 0;
    Ok(Value::String(match is_whole {
        true => time.to_string(),
        // Go's metav1.Time keeps seconds.
        false => Timestamp::from_second(time.as_second()).unwrap_or(time).to_string(),
    }))
}

fn zero_that_is_written(field: &Field) -> Option<Value> {
    match (field.presence, field.shape) {
        (Presence::Always, shape) => Some(zero(shape)),
        (Presence::UnlessEmpty, Shape::Record(_)) => Some(zero(field.shape)),
        _ => None,
    }
}

fn zero(shape: Shape) -> Value {
    match shape {
        Shape::Flag => Value::Bool(false),
        Shape::Int32 | Shape::Int64 | Shape::IntOrText => json!(0),
        Shape::Text | Shape::Url => json!(""),
        Shape::Amount => json!("0"),
        Shape::Time | Shape::Any | Shape::List(_) | Shape::Map(_) => Value::Null,
        Shape::Record(record) => record
            .all_fields()
            .filter_map(|field| Some((field.key.to_owned(), zero_that_is_written(field)?)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn is_zero(value: &Value, shape: Shape) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty() && !matches!(shape, Shape::Amount),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty() && matches!(shape, Shape::Map(_)),
    }
}

fn type_name(shape: Shape) -> String {
    match shape {
        Shape::Flag => "bool".to_owned(),
        Shape::Int32 => "int32".to_owned(),
        Shape::Int64 => "int64".to_owned(),
        Shape::Text | Shape::Url => "string".to_owned(),
        Shape::Amount => "resource.Quantity".to_owned(),
        Shape::IntOrText => "intstr.IntOrString".to_owned(),
        Shape::Time => "v1.Time".to_owned(),
        Shape::Any => "interface {}".to_owned(),
        Shape::List(of) => format!("[]{}", type_name(*of)),
        Shape::Map(of) => format!("map[string]{}", type_name(*of)),
        Shape::Record(record) => format!("v1.{}", record.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;
    use crate::shape::objects;

    #[test]
    fn urls_are_read_and_printed_again() {
        let decoded = |url: &str| {
            let route = json!({"spec": {"traffic": [{"url": url}]}, "status": {"url": url, "address": {"url": url}}});
            decode(&route, objects::of(Kind::Route))
        };
        let route = decoded("HTTP://x/a b").unwrap();
        for place in ["/spec/traffic/0/url", "/status/url", "/status/address/url"] {
            assert_eq!(route.pointer(place), Some(&json!("http://x/a%20b")), "{place}");
        }
        for wrong in ["http://%zz", "://x"] {
            assert!(matches!(decoded(wrong), Err(DecodeError::Text(_))), "{wrong}");
        }
    }
}
