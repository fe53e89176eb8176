// SPDX-License-Identifier: Apache-2.0
//! Bodies in Kubernetes' protobuf, as kubectl sends them for some objects of Kubernetes' own kinds.
//!
//! Problem: in protobuf fields have numbers, and an empty text is there that JSON would leave out.
//! Mechanism: a table of messages (`fields.txt`, made from the Go types) leads from numbers to fields of a JSON object.
//! Invariants: any bytes give an object or an error; nesting and size are bounded; an unknown field is dropped.
//! Depends on: nothing.

mod scalar;
mod table;
mod wire;

use serde_json::{Map, Value};

use table::{Field, Form};
use wire::{Payload, Reader};

/// The media type.
pub(super) const MEDIA: &str = "application/vnd.kubernetes.protobuf";
/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may be nested.
const DEPTH: usize = 64;

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it does not begin as Kubernetes' protobuf does")]
    NoMagic,
    #[error("the message ends early or is damaged")]
    Damaged,
    #[error("the message is nested too deeply")]
    TooDeep,
    #[error("{0} is not known in protobuf here; send it as JSON")]
    NoKind(String),
}

/// The JSON object of a body.
pub(super) fn decode(body: &[u8]) -> Result<Value, Unreadable> {
    let body = body.strip_prefix(MAGIC).ok_or(Unreadable::NoMagic)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Reader::new(body) {
        let (number, payload) = field?;
        match (number, payload) {
            (1, Payload::Bytes(types)) => (api_version, kind) = read_types(types)?,
            (2, Payload::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let message =
        table::of_kind(&api_version, &kind).ok_or_else(|| Unreadable::NoKind(format!("{api_version} {kind}")))?;
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    read_message(message, raw, &mut object, DEPTH)?;
    Ok(Value::Object(object))
}

fn read_types(bytes: &[u8]) -> Result<(String, String), Unreadable> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    for field in Reader::new(bytes) {
        match field? {
            (1, Payload::Bytes(text)) => api_version = scalar::text(text)?,
            (2, Payload::Bytes(text)) => kind = scalar::text(text)?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

fn read_message(
    message: &'static [Field],
    bytes: &[u8],
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), Unreadable> {
    let depth = depth.checked_sub(1).ok_or(Unreadable::TooDeep)?;
    for field in Reader::new(bytes) {
        let (number, payload) = field?;
        let Some(field) = message.iter().find(|field| field.number == number) else {
            continue;
        };
        if let (true, Form::Message(name), Payload::Bytes(bytes)) = (field.name == ".", &field.form, payload) {
            read_message(table::message(name), bytes, object, depth)?;
            continue;
        }
        put(field, payload, object, depth)?;
    }
    Ok(())
}

fn put(field: &Field, payload: Payload, object: &mut Map<String, Value>, depth: usize) -> Result<(), Unreadable> {
    match (&field.form, payload) {
        (Form::List(form), payload) => {
            let item = value(form, payload, depth)?;
            let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
            if let (Some(list), Some(item)) = (list.as_array_mut(), item) {
                list.push(item);
            }
        }
        (Form::Map(form), Payload::Bytes(entry)) => {
            let (key, item) = entry_of(form, entry, depth)?;
            let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
            if let Some(map) = map.as_object_mut() {
                map.insert(key, item);
            }
        }
        (form, payload) => {
            let Some(found) = value(form, payload, depth)? else {
                return Ok(());
            };
            if field.stays || !scalar::is_empty(&found) {
                object.insert(field.name.to_owned(), found);
            }
        }
    }
    Ok(())
}

fn entry_of(form: &Form, entry: &[u8], depth: usize) -> Result<(String, Value), Unreadable> {
    let mut key = String::new();
    let mut item = value(form, Payload::Bytes(&[]), depth)?.unwrap_or_default();
    for field in Reader::new(entry) {
        match field? {
            (1, Payload::Bytes(text)) => key = scalar::text(text)?,
            (2, payload) => item = value(form, payload, depth)?.unwrap_or_default(),
            _ => {}
        }
    }
    Ok((key, item))
}

/// The value of a form; nothing for a time that is not set.
fn value(form: &Form, payload: Payload, depth: usize) -> Result<Option<Value>, Unreadable> {
    Ok(match (form, payload) {
        (Form::Message(name), Payload::Bytes(bytes)) => {
            let mut inner = Map::new();
            read_message(table::message(name), bytes, &mut inner, depth)?;
            Some(Value::Object(inner))
        }
        (Form::Text, Payload::Bytes(bytes)) => Some(scalar::text(bytes)?.into()),
        (Form::Bytes, Payload::Bytes(bytes)) => Some(scalar::base64(bytes)),
        (Form::Number, Payload::Number(number)) => Some(number.cast_signed().into()),
        (Form::Truth, Payload::Number(number)) => Some((number != 0).into()),
        (Form::Special(special), Payload::Bytes(bytes)) => scalar::special(*special, bytes)?,
        _ => return Err(Unreadable::Damaged),
    })
}

#[cfg(test)]
mod tests;
