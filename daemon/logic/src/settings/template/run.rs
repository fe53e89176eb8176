// SPDX-License-Identifier: Apache-2.0
//! Renders nodes over a value.
//!
//! Invariants: recursion is as deep as the parser let blocks be.
//! Depends on: error, function, parse, value.

use super::error::{TemplateError, place};
use super::function::Function;
use super::parse::{Command, Node, Operand, Pipe};
use super::value::Value;
use crate::go::print;

/// The text of these nodes over `dot`.
pub(super) fn render(name: &'static str, text: &str, nodes: &[Node], dot: &Value) -> Result<String, TemplateError> {
    let mut out = String::new();
    write(nodes, dot, &mut out).map_err(|fault| {
        let (line, column) = place(text, fault.position);
        TemplateError::Render {
            name,
            line,
            column,
            at: fault.at,
            reason: fault.reason,
        }
    })?;
    Ok(out)
}

struct Fault {
    position: usize,
    at: String,
    reason: String,
}

fn write(nodes: &[Node], dot: &Value, out: &mut String) -> Result<(), Fault> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Output(pipe) => out.push_str(&value_of(pipe, dot)?.printed()),
            Node::Choice {
                condition,
                is_with,
                then,
                otherwise,
            } => {
                let value = value_of(condition, dot)?;
                match (value.is_true(), is_with) {
                    (true, true) => write(then, &value, out)?,
                    (true, false) => write(then, dot, out)?,
                    (false, _) => write(otherwise, dot, out)?,
                }
            }
        }
    }
    Ok(())
}

fn value_of(pipe: &Pipe, dot: &Value) -> Result<Value, Fault> {
    let mut last: Option<Value> = None;
    for command in &pipe.commands {
        last = Some(match command {
            Command::Call {
                function,
                arguments,
                start,
            } => call(*function, arguments, last, *start, dot)?,
            Command::Value(operand) if last.is_none() => value_at(operand, dot)?,
            Command::Value(Operand::Call { function, start }) => call(*function, &[], last, *start, dot)?,
            Command::Value(operand) => {
                return Err(Fault {
                    position: pipe.start,
                    at: shown(operand),
                    reason: "can't give argument to non-function".to_owned(),
                });
            }
        });
    }
    Ok(last.unwrap_or(Value::Missing))
}

fn call(
    function: Function,
    operands: &[Operand],
    last: Option<Value>,
    start: usize,
    dot: &Value,
) -> Result<Value, Fault> {
    let mut arguments = Vec::with_capacity(operands.len() + 1);
    for operand in operands {
        let value = value_at(operand, dot)?;
        let decides = match function {
            Function::And => !value.is_true(),
            Function::Or => value.is_true(),
            _ => false,
        };
        if decides {
            return Ok(value);
        }
        arguments.push(value);
    }
    arguments.extend(last);
    function.call(&arguments).map_err(|reason| {
        let words: Vec<_> = std::iter::once(function.name())
            .chain(operands.iter().map(shown))
            .collect();
        Fault {
            position: start,
            reason: format!("error calling {}: {reason}", function.name()),
            at: words.join(" "),
        }
    })
}

fn value_at(operand: &Operand, dot: &Value) -> Result<Value, Fault> {
    match operand {
        Operand::Fields { path, start } => reached(dot.clone(), path, *start),
        Operand::Literal(value) => Ok(value.clone()),
        Operand::Inner { pipe, path, start } => reached(value_of(pipe, dot)?, path, *start),
        Operand::Call { function, start } => call(*function, &[], None, *start, dot),
    }
}

fn reached(value: Value, path: &[String], start: usize) -> Result<Value, Fault> {
    path.iter().try_fold(value, |value, name| {
        let fault = |reason: String| Fault {
            position: start,
            at: dotted(path),
            reason,
        };
        match value {
            Value::Record(ref record) => match record.field(name) {
                Some(field) => Ok(field.clone()),
                None => Err(fault(format!(
                    "can't evaluate field {name} in type {}",
                    record.type_name
                ))),
            },
            Value::Map(mut map) => Ok(map.remove(name).map_or(Value::Missing, Value::Text)),
            Value::Missing => Ok(Value::Missing),
            other => Err(fault(format!(
                "can't evaluate field {name} in type {}",
                other.type_name()
            ))),
        }
    })
}

fn shown(operand: &Operand) -> String {
    match operand {
        Operand::Fields { path, .. } | Operand::Inner { path, .. } => dotted(path),
        Operand::Literal(Value::Text(text)) => print::quoted(text),
        Operand::Literal(value) => value.printed(),
        Operand::Call { function, .. } => function.name(),
    }
}

fn dotted(path: &[String]) -> String {
    match path {
        [] => ".".to_owned(),
        _ => path.iter().map(|name| format!(".{name}")).collect(),
    }
}
