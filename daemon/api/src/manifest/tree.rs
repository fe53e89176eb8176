// SPDX-License-Identifier: Apache-2.0
//! YAML as a tree that knows its lines.
//!
//! Scalars are read as Kubernetes' YAML library reads them: YAML 1.1, so `yes` and `on` are booleans.
//! Invariants: at most [`DEPTH`] levels and [`NODES`] nodes a text, aliases counted as what they stand for.
//! Depends on: saphyr-parser.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

/// How deep objects may stand in one another.
const DEPTH: usize = 64;
/// How many values a text may have.
const NODES: usize = 200_000;

/// A value and its line, from 1.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A field of an object.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The line of the key.
    pub(super) line: usize,
    pub(super) value: Node,
}

/// One document of a text.
pub(super) struct Document {
    /// From 1.
    pub(super) number: usize,
    pub(super) root: Node,
}

/// What cannot be read.
pub(super) struct Broken {
    pub(super) document: usize,
    pub(super) line: usize,
    pub(super) reason: String,
}

impl Node {
    pub(super) fn is_map(&self) -> bool {
        matches!(self.data, Data::Map(_))
    }

    /// The fields in their order; none if it is no object.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements; none if it is no list.
    pub(super) fn items(&self) -> &[Node] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    /// The last field of that name: it is the one that counts.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().rfind(|entry| entry.key == key)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.data {
            Data::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// As JSON, without lines.
    pub(super) fn to_json(&self) -> Value {
        match &self.data {
            Data::Scalar(value) => value.clone(),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}

/// Every document up to the first that cannot be read, and that one.
pub(super) fn documents(text: &str) -> (Vec<Document>, Option<Broken>) {
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
                    Ok(root) if matches!(root.data, Data::Scalar(Value::Null)) => {}
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
                let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
                (Data::Scalar(scalar(&text, is_text)), anchor)
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
                Data::Scalar(Value::String(key)) => key,
                Data::Scalar(other) => other.to_string(),
                _ => return Err("the name of a field must be a text".to_owned()),
            };
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

/// A scalar of YAML 1.1.
fn scalar(text: &str, is_text: bool) -> Value {
    if is_text {
        return text.into();
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => true.into(),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => false.into(),
        _ => number(text).unwrap_or_else(|| text.into()),
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text).replace('_', "");
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hexadecimal, 16).ok().map(Value::from);
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return i64::from_str_radix(digits, 8).ok().map(Value::from);
    }
    if let Ok(integer) = plain.parse::<i64>() {
        return Some(integer.into());
    }
    let is_float = plain
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let float = is_float.then(|| plain.parse::<f64>().ok()).flatten()?;
    Number::from_f64(float).map(Value::Number)
}
