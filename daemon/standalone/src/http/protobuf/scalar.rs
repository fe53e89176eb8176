// SPDX-License-Identifier: Apache-2.0
//! Values that are no messages in JSON.
//!
//! Depends on: wire, table.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::Unreadable;
use super::table::Special;
use super::wire::{Payload, Reader};

pub(super) fn text(bytes: &[u8]) -> Result<String, Unreadable> {
    let text = str::from_utf8(bytes).map_err(|_| Unreadable::Damaged)?;
    Ok(text.to_owned())
}

pub(super) fn base64(bytes: &[u8]) -> Value {
    STANDARD.encode(bytes).into()
}

/// Whether JSON leaves a value out.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(truth) => !truth,
        Value::Null => true,
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// A special message: its fields 1, 2 and 3.
pub(super) fn special(special: Special, bytes: &[u8]) -> Result<Option<Value>, Unreadable> {
    let (mut first, mut second, mut content) = (None, 0, &[][..]);
    for field in Reader::new(bytes) {
        match field? {
            (1, Payload::Number(number)) => first = Some(number.cast_signed()),
            (2, Payload::Number(number)) => second = number.cast_signed(),
            (1 | 3, Payload::Bytes(bytes)) => content = bytes,
            _ => {}
        }
    }
    Ok(match special {
        Special::Quantity => Some(text(content)?.into()),
        Special::Either if first.unwrap_or_default() == 0 => Some(second.into()),
        Special::Either => Some(text(content)?.into()),
        Special::Raw if content.is_empty() => None,
        Special::Raw => Some(serde_json::from_slice(content).map_err(|_| Unreadable::Damaged)?),
        Special::Duration => first.map(|nanoseconds| format!("{nanoseconds}ns").into()),
        Special::Time => time(first, 0, "%Y-%m-%dT%H:%M:%SZ")?,
        Special::MicroTime => time(first, second, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
    })
}

/// A time; nothing if it is not set.
fn time(seconds: Option<i64>, nanoseconds: i64, form: &str) -> Result<Option<Value>, Unreadable> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let nanoseconds = i32::try_from(nanoseconds).map_err(|_| Unreadable::Damaged)?;
    let time = Timestamp::new(seconds, nanoseconds).map_err(|_| Unreadable::Damaged)?;
    Ok(Some(time.strftime(form).to_string().into()))
}
