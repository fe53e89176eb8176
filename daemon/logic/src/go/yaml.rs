// SPDX-License-Identifier: Apache-2.0
//! YAML as a tree that knows its lines.
//!
//! Scalars are read as Kubernetes' YAML library reads them: YAML 1.1, so `yes` and `on` are booleans, as names of fields,
//! too: these are texts of what they stand for.
//! Invariants: at most [`DEPTH`] levels and [`NODES`] nodes a text, aliases counted as what they stand for.
//! Depends on: number, print, saphyr-parser.

use super::{number, print};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How deep objects may stand in one another.
const DEPTH: usize = 64;
/// How many values a text may have.
const NODES: usize = 200_000;

/// A value and its line, from 1.
#[derive(Clone, Debug)]
pub struct Node {
    /// From 1.
    pub line: usize,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    /// More than 64 bits with a sign hold.
    Large(u64),
    Float(f64),
    Text(String),
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// The line of the key.
    pub line: usize,
    /// What it holds.
    pub value: Node,
}

/// One document of a text.
pub struct Document {
    /// From 1.
    pub number: usize,
    /// Its value.
    pub root: Node,
}

/// What cannot be read.
pub struct Broken {
    /// In which document, from 1.
    pub document: usize,
    /// From 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

impl Node {
    /// Whether it is an object.
    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(self.data, Data::Map(_))
    }

    /// The fields in their order; none if it is no object.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements; none if it is no list.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    /// The last field of that name: it is the one that counts.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().rfind(|entry| entry.key == key)
    }

    /// The value of that field.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value of that field, if it is a text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.data {
            Data::Scalar(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// As JSON, without lines; a number that JSON has not is a text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Scalar(scalar) => scalar.to_json(),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}

impl Scalar {
    fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::Large(value) => (*value).into(),
            Self::Float(value) if value.is_finite() => (*value).into(),
            Self::Float(value) => print::float(*value).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }

    /// As the name of a field; null is none.
    fn into_key(self) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Large(value) => value.to_string(),
            Self::Float(value) => match value {
                f64::INFINITY => ".inf".to_owned(),
                f64::NEG_INFINITY => "-.inf".to_owned(),
                _ if value.is_nan() => ".nan".to_owned(),
                _ => print::short_float(value),
            },
            Self::Text(text) => text,
        })
    }
}

/// Every document up to the first that cannot be read, and that one.
#[must_use]
pub fn documents(text: &str) -> (Vec<Document>, Option<Broken>) {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        nodes: 0,
        line: 1,
    };
    let mut documents = Vec::new();
    let mut number = 0;
    loop {
        match reader.next() {
            Ok(Some((Event::DocumentStart(_), _))) => {
                number += 1;
                reader.anchors.clear();
                match reader.node(DEPTH) {
                    Ok(root) if matches!(root.data, Data::Scalar(Scalar::Null)) => {}
                    Ok(root) => documents.push(Document { number, root }),
                    Err(reason) => return (documents, Some(reader.broken(number, reason))),
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return (documents, None),
            Err(reason) => return (documents, Some(reader.broken(number.max(1), reason))),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// What anchors stand for, and how many values that is.
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, String> {
        match self.parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => Ok(None),
            Some(Ok((event, span))) => {
                self.line = span.start.line().max(1);
                Ok(Some((event, span)))
            }
            Some(Err(error)) => {
                self.line = error.marker().line().max(1);
                Err(error.info().to_owned())
            }
        }
    }

    fn broken(&self, document: usize, reason: String) -> Broken {
        Broken {
            document,
            line: self.line,
            reason,
        }
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        match self.nodes > NODES {
            true => Err(format!(
                "more than {NODES} values, aliases counted as what they stand for"
            )),
            false => Ok(()),
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, String> {
        let (event, span) = self.next()?.ok_or("it ends in the middle")?;
        self.node_of(event, span, depth)
    }

    fn node_of(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("more than {DEPTH} levels"));
        };
        self.count(1)?;
        let line = span.start.line().max(1);
        let before = self.nodes;
        let (data, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = tagged(text.into_owned(), style == ScalarStyle::Plain, tag.as_deref())?;
                (Data::Scalar(scalar), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let (node, nodes) = self.anchors.get(&anchor).cloned().ok_or("an alias of itself")?;
                self.count(nodes)?;
                return Ok(Node { line, ..node });
            }
            _ => return Err("a value is expected".to_owned()),
        };
        let node = Node { line, data };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Data, String> {
        let mut items = Vec::new();
        loop {
            match self.next()?.ok_or("it ends in the middle")? {
                (Event::SequenceEnd, _) => return Ok(Data::List(items)),
                (event, span) => items.push(self.node_of(event, span, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Data, String> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?.ok_or("it ends in the middle")?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let line = span.start.line().max(1);
            let key = match self.node_of(event, span, depth)?.data {
                Data::Scalar(scalar) => scalar.into_key(),
                _ => None,
            };
            let key = key.ok_or("the name of a field must be a text")?;
            let value = self.node(depth)?;
            match key.as_str() {
                "<<" => merged.extend(value.entries().to_vec()),
                _ => entries.push(Entry { key, line, value }),
            }
        }
        for entry in merged {
            if entries.iter().all(|own| own.key != entry.key) {
                entries.push(entry);
            }
        }
        Ok(Data::Map(entries))
    }
}

/// A scalar, if it is what its tag says.
fn tagged(text: String, is_plain: bool, tag: Option<&Tag>) -> Result<Scalar, String> {
    let Some(tag) = tag else {
        return Ok(if is_plain { resolved(text) } else { Scalar::Text(text) });
    };
    let wanted = match tag.is_yaml_core_schema() {
        true => tag.suffix.as_str(),
        false => "",
    };
    match (wanted, resolved(text.clone())) {
        ("null", scalar @ Scalar::Null)
        | ("bool", scalar @ Scalar::Bool(_))
        | ("int", scalar @ (Scalar::Integer(_) | Scalar::Large(_)))
        | ("float", scalar @ Scalar::Float(_)) => Ok(scalar),
        #[expect(clippy::cast_precision_loss, reason = "a float is what is asked for")]
        ("float", Scalar::Integer(value)) => Ok(Scalar::Float(value as f64)),
        ("null" | "bool" | "int" | "float", _) => {
            Err(format!("cannot decode {} as a !!{wanted}", print::quoted(&text)))
        }
        _ => Ok(Scalar::Text(text)),
    }
}

/// A plain scalar of YAML 1.1, as go-yaml knows it: no numbers of base 60, booleans in three cases alone.
fn resolved(text: String) -> Scalar {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        plain => number_of(plain).unwrap_or(Scalar::Text(text)),
    }
}

fn number_of(text: &str) -> Option<Scalar> {
    match text.as_bytes().first()? {
        b'.' => number::float(text).ok().map(Scalar::Float),
        b'+' | b'-' | b'0'..=b'9' => {
            let plain = text.replace('_', "");
            integer(&plain).or_else(|| {
                let float = is_float(&plain).then(|| number::float(&plain).ok()).flatten()?;
                Some(Scalar::Float(float))
            })
        }
        _ => None,
    }
}

/// Of base 10, or 2, 8 or 16 as it begins.
fn integer(text: &str) -> Option<Scalar> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("+", text.get(1..)?),
        _ => ("", text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    // Rust takes a second sign.
    if !digits.starts_with(|first: char| first.is_digit(base)) {
        return None;
    }
    match (i64::from_str_radix(&format!("{sign}{digits}"), base), sign) {
        (Ok(value), _) => Some(Scalar::Integer(value)),
        (Err(_), "") => u64::from_str_radix(digits, base).ok().map(Scalar::Large),
        _ => None,
    }
}

/// Digits with a point at most, and an exponent.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    are_digits(whole)
        && are_digits(fraction)
        && are_digits(exponent)
        && !exponent.is_empty()
        && !(whole.is_empty() && fraction.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Value {
        let (documents, broken) = documents(text);
        assert!(broken.is_none(), "{text}");
        documents
            .first()
            .map_or(Value::Null, |document| document.root.to_json())
    }

    #[test]
    fn plain_scalars_are_those_of_go_yaml() {
        let rows = [
            ("yes", "true"),
            ("y", "true"),
            ("Off", "false"),
            ("yEs", "\"yEs\""),
            ("oN", "\"oN\""),
            ("010", "8"),
            ("-0x1F", "-31"),
            ("0o17", "15"),
            ("0b101", "5"),
            ("08", "8.0"),
            ("1_000", "1000"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e+19"),
            ("1e3", "1000.0"),
            (".5", "0.5"),
            ("5.", "5.0"),
            (".inf", "\"+Inf\""),
            ("190:20:30", "\"190:20:30\""),
            ("2001-01-01", "\"2001-01-01\""),
            ("+-5", "\"+-5\""),
            ("0x", "\"0x\""),
            ("1e", "\"1e\""),
            ("\"010\"", "\"010\""),
            ("!!str 010", "\"010\""),
            ("!!int \"010\"", "8"),
            ("!!float 5", "5.0"),
            ("!own 5", "\"5\""),
        ];
        for (text, json) in rows {
            assert_eq!(parsed(&format!("a: {text}"))["a"].to_string(), json, "{text}");
        }
        assert!(documents("a: !!int x").1.is_some());
    }

    #[test]
    fn names_of_fields_are_the_texts_of_what_they_stand_for() {
        let rows = [
            ("on", "true"),
            ("NO", "false"),
            ("010", "8"),
            ("1.0", "1"),
            ("0.1", "0.1"),
            ("1e6", "1e+06"),
            (".inf", ".inf"),
            ("yEs", "yEs"),
            ("'on'", "on"),
            ("\"010\"", "010"),
        ];
        for (key, name) in rows {
            assert_eq!(parsed(&format!("{key}: x")), serde_json::json!({name: "x"}), "{key}");
        }
        assert!(documents("~: x").1.is_some());
        assert!(documents("[a]: x").1.is_some());
    }
}
