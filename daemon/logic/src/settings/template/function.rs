// SPDX-License-Identifier: Apache-2.0
//! The functions of templates.
//!
//! Invariants: a function that gets what it does not take answers with an error.
//! Depends on: printf, value.

use super::printf;
use super::value::Value;
use crate::go::print;
use std::cmp::Ordering;
use std::fmt::Write;

/// A function of text/template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Len,
    Index,
    Slice,
    Print,
    Println,
    Printf,
    Js,
    Html,
    Urlquery,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "or" => Self::Or,
            "not" => Self::Not,
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "lt" => Self::Lt,
            "le" => Self::Le,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "len" => Self::Len,
            "index" => Self::Index,
            "slice" => Self::Slice,
            "print" => Self::Print,
            "println" => Self::Println,
            "printf" => Self::Printf,
            "js" => Self::Js,
            "html" => Self::Html,
            "urlquery" => Self::Urlquery,
            _ => return None,
        })
    }

    /// As it is written.
    pub(super) fn name(self) -> String {
        format!("{self:?}").to_ascii_lowercase()
    }

    /// Its value, or why it has none.
    pub(super) fn call(self, arguments: &[Value]) -> Result<Value, String> {
        let printed = || arguments.iter().map(Value::printed).collect::<Vec<_>>();
        Ok(match self {
            Self::And => decisive(arguments, false)?,
            Self::Or => decisive(arguments, true)?,
            Self::Not => Value::Bool(!one(arguments)?.is_true()),
            Self::Eq | Self::Ne => Value::Bool(equals_any(arguments)? == (self == Self::Eq)),
            Self::Lt | Self::Le | Self::Gt | Self::Ge => Value::Bool(self.holds_for(order(arguments)?)),
            Self::Len => length(one(arguments)?)?,
            Self::Index => index(arguments)?,
            Self::Slice => slice(arguments)?,
            Self::Print => Value::Text(spaced(arguments)),
            Self::Println => Value::Text(printed().join(" ") + "\n"),
            Self::Printf => Value::Text(printf::formatted(arguments)?),
            Self::Js => Value::Text(printed().concat().chars().map(js).collect()),
            Self::Html => Value::Text(printed().concat().chars().map(html).collect()),
            Self::Urlquery => Value::Text(printed().concat().bytes().map(query).collect()),
        })
    }

    fn holds_for(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Lt => order.is_some_and(Ordering::is_lt),
            Self::Le => order.is_some_and(Ordering::is_le),
            Self::Gt => order.is_some_and(Ordering::is_gt),
            _ => order.is_some_and(Ordering::is_ge),
        }
    }
}

fn one(arguments: &[Value]) -> Result<&Value, String> {
    match arguments {
        [value] => Ok(value),
        _ => Err(format!("wrong number of args: want 1 got {}", arguments.len())),
    }
}

/// The first argument that is so, or the last.
fn decisive(arguments: &[Value], wanted: bool) -> Result<Value, String> {
    arguments
        .iter()
        .find(|value| value.is_true() == wanted)
        .or(arguments.last())
        .cloned()
        .ok_or_else(|| "wrong number of args: want at least 1 got 0".to_owned())
}

/// Whether the first argument is one of the others.
fn equals_any(arguments: &[Value]) -> Result<bool, String> {
    let (first, others) = arguments.split_first().ok_or("missing argument for comparison")?;
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if std::mem::discriminant(first) != std::mem::discriminant(other)
            && !matches!((first, other), (Value::Missing, _) | (_, Value::Missing))
        {
            return Err(incompatible(first, other));
        }
        if first == other {
            return Ok(true);
        }
    }
    Ok(false)
}

fn incompatible(left: &Value, right: &Value) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        left.type_name(),
        right.type_name()
    )
}

fn order(arguments: &[Value]) -> Result<Option<Ordering>, String> {
    match arguments {
        [Value::Text(left), Value::Text(right)] => Ok(Some(left.cmp(right))),
        [Value::Integer(left), Value::Integer(right)] => Ok(Some(left.cmp(right))),
        [Value::Float(left), Value::Float(right)] => Ok(left.partial_cmp(right)),
        [left, right] => Err(incompatible(left, right)),
        _ => Err(format!("wrong number of args: want 2 got {}", arguments.len())),
    }
}

fn length(value: &Value) -> Result<Value, String> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::Map(map) => map.len(),
        Value::List(list) => list.len(),
        Value::Header(map) | Value::Query(map) => map.len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Integer(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// `index map "key"`: empty if there is no such key; more keys are of what the one before led to.
fn index(arguments: &[Value]) -> Result<Value, String> {
    match arguments {
        [value, key, rest @ ..] if !rest.is_empty() => {
            let mut all = vec![index(&[value.clone(), key.clone()])?];
            all.extend_from_slice(rest);
            index(&all)
        }
        [value] => Ok(value.clone()),
        [Value::Map(map), Value::Text(key)] => Ok(Value::Text(map.get(key).cloned().unwrap_or_default())),
        [Value::Header(map) | Value::Query(map), Value::Text(name)] => {
            let values = map.get(name).into_iter().flatten();
            Ok(Value::List(values.map(|value| value.as_str().into()).collect()))
        }
        [Value::List(list), Value::Integer(at)] => usize::try_from(*at)
            .ok()
            .and_then(|at| list.get(at))
            .cloned()
            .ok_or_else(|| format!("index out of range: {at}")),
        [Value::Map(_) | Value::Header(_) | Value::Query(_), other] => {
            Err(format!("value has type {}; should be string", other.type_name()))
        }
        [Value::Missing, _] => Err("index of untyped nil".to_owned()),
        [Value::Text(text), Value::Integer(at)] => usize::try_from(*at)
            .ok()
            .and_then(|at| text.as_bytes().get(at))
            .map(|byte| Value::Integer(i64::from(*byte)))
            .ok_or_else(|| format!("index out of range: {at}")),
        [other, ..] => Err(format!("can't index item of type {}", other.type_name())),
        [] => Err("wrong number of args: want at least 1 got 0".to_owned()),
    }
}

/// `slice text from to`, in bytes.
fn slice(arguments: &[Value]) -> Result<Value, String> {
    let (text, bounds) = match arguments {
        [Value::Text(text), bounds @ ..] if bounds.len() <= 2 => (text, bounds),
        [other, ..] => return Err(format!("can't slice item of type {}", other.type_name())),
        [] => return Err("wrong number of args: want at least 1 got 0".to_owned()),
    };
    let bound = |position: usize, absent: usize| match bounds.get(position) {
        None => Ok(absent),
        Some(Value::Integer(value)) => usize::try_from(*value).map_err(|_| format!("index out of range: {value}")),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    let (from, to) = (bound(0, 0)?, bound(1, text.len())?);
    text.get(from..to)
        .map(Value::from)
        .ok_or_else(|| format!("index out of range: {to}"))
}

/// Spaces only between what is no text.
fn spaced(arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut previous: Option<&Value> = None;
    for value in arguments {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if previous.is_some_and(|previous| !is_text(previous) && !is_text(value)) {
            out.push(' ');
        }
        out.push_str(&value.printed());
        previous = Some(value);
    }
    out
}

fn js(char: char) -> String {
    match char {
        '\\' => "\\\\".to_owned(),
        '\'' => "\\'".to_owned(),
        '"' => "\\\"".to_owned(),
        '<' => "\\u003C".to_owned(),
        '>' => "\\u003E".to_owned(),
        '&' => "\\u0026".to_owned(),
        '=' => "\\u003D".to_owned(),
        _ if char < ' ' || (!char.is_ascii() && !print::is_printable(char)) => {
            format!("\\u{:04X}", u32::from(char))
        }
        _ => char.to_string(),
    }
}

fn html(char: char) -> String {
    match char {
        '\0' => "\u{fffd}".to_owned(),
        '"' => "&#34;".to_owned(),
        '\'' => "&#39;".to_owned(),
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        _ => char.to_string(),
    }
}

fn query(byte: u8) -> String {
    let mut out = String::new();
    match byte {
        b' ' => out.push('+'),
        b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
        _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
        // Writing to a String cannot fail.
        _ => drop(write!(out, "%{byte:02X}")),
    }
    out
}
