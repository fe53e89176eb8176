// SPDX-License-Identifier: Apache-2.0
//! Renders nodes over a value.
//!
//! Invariants: recursion is bounded, and so is how often templates are called.
//! Depends on: error, function, parse, value.

use super::error::{TemplateError, place};
use super::function::Function;
use super::parse::{Command, Node, Operand, Parsed, Pipe, Templates};
use super::value::{Value, canonical};
use crate::go::print;

/// How deep blocks and templates may stand in one another.
const DEPTH: usize = 200;
/// How often templates may be called.
const CALLS: usize = 10_000;

/// The text of a template over `dot`.
pub(super) fn render(name: &'static str, text: &str, parsed: &Parsed, dot: &Value) -> Result<String, TemplateError> {
    let mut out = String::new();
    let mut scope = Scope {
        root: dot,
        variables: Vec::new(),
        templates: &parsed.templates,
        depth: 0,
        calls: 0,
        failed: None,
    };
    match write(&parsed.nodes, dot, &mut scope, &mut out) {
        Ok(_) => Ok(out),
        Err(fault) => {
            let (line, column) = place(text, fault.position);
            Err(TemplateError::Render {
                name,
                line,
                column,
                executing: scope.failed.unwrap_or_else(|| name.to_owned()),
                at: fault.at,
                reason: fault.reason,
            })
        }
    }
}

/// How a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// What names mean here.
struct Scope<'a> {
    /// `$`
    root: &'a Value,
    /// The innermost last.
    variables: Vec<(String, Value)>,
    templates: &'a Templates,
    depth: usize,
    calls: usize,
    /// The innermost template that failed, unless it is the first.
    failed: Option<String>,
}

impl Scope<'_> {
    /// Gives the variables of a pipe their values.
    fn bind(&mut self, pipe: &Pipe, values: impl IntoIterator<Item = Value>) -> Result<(), Fault> {
        for (name, value) in pipe.variables.iter().zip(values) {
            if pipe.declares {
                self.variables.push((name.clone(), value));
                continue;
            }
            let known = self.variables.iter_mut().rev().find(|(other, _)| other == name);
            match known {
                Some((_, old)) => *old = value,
                None => return Err(undefined(name, pipe.start)),
            }
        }
        Ok(())
    }

    fn get(&self, name: &str, start: usize) -> Result<Value, Fault> {
        if name.is_empty() {
            return Ok(self.root.clone());
        }
        let known = self.variables.iter().rev().find(|(other, _)| other == name);
        known
            .map(|(_, value)| value.clone())
            .ok_or_else(|| undefined(name, start))
    }
}

fn undefined(name: &str, position: usize) -> Fault {
    Fault {
        position,
        at: format!("${name}"),
        reason: format!("undefined variable: ${name}"),
    }
}

struct Fault {
    position: usize,
    at: String,
    reason: String,
}

/// Variables that are made in a block end with it.
fn block(nodes: &[Node], dot: &Value, scope: &mut Scope<'_>, out: &mut String) -> Result<Flow, Fault> {
    let outer = scope.variables.len();
    scope.depth += 1;
    let flow = write(nodes, dot, scope, out)?;
    scope.depth -= 1;
    scope.variables.truncate(outer);
    Ok(flow)
}

fn write(nodes: &[Node], dot: &Value, scope: &mut Scope<'_>, out: &mut String) -> Result<Flow, Fault> {
    for node in nodes {
        let flow = match node {
            Node::Text(text) => {
                out.push_str(text);
                Flow::On
            }
            Node::Output(pipe) => {
                let value = value_of(pipe, dot, scope)?;
                if pipe.variables.is_empty() {
                    out.push_str(&value.printed());
                }
                Flow::On
            }
            Node::Choice {
                condition,
                is_with,
                then,
                otherwise,
            } => {
                let outer = scope.variables.len();
                let value = value_of(condition, dot, scope)?;
                let flow = match (value.is_true(), is_with) {
                    (true, true) => block(then, &value, scope, out)?,
                    (true, false) => block(then, dot, scope, out)?,
                    (false, _) => block(otherwise, dot, scope, out)?,
                };
                scope.variables.truncate(outer);
                flow
            }
            Node::Range { over, then, otherwise } => range(over, then, otherwise, dot, scope, out)?,
            Node::Break => Flow::Break,
            Node::Continue => Flow::Continue,
            Node::Call { name, argument, start } => {
                called(name, argument.as_ref(), *start, dot, scope, out)?;
                Flow::On
            }
        };
        if flow != Flow::On {
            return Ok(flow);
        }
    }
    Ok(Flow::On)
}

/// Another template; it sees none of the variables here.
fn called(
    name: &str,
    argument: Option<&Pipe>,
    start: usize,
    dot: &Value,
    scope: &mut Scope<'_>,
    out: &mut String,
) -> Result<(), Fault> {
    let fault = |reason: String| Fault {
        position: start,
        at: format!("{{{{template {}}}}}", print::quoted(name)),
        reason,
    };
    let templates = scope.templates;
    let nodes = templates
        .get(name)
        .ok_or_else(|| fault(format!("template {} not defined", print::quoted(name))))?;
    let outer = scope.variables.len();
    let value = match argument {
        Some(pipe) => value_of(pipe, dot, scope)?,
        None => Value::Missing,
    };
    scope.variables.truncate(outer);
    if scope.depth >= DEPTH {
        return Err(fault(format!("exceeded maximum template depth ({DEPTH})")));
    }
    if scope.calls >= CALLS {
        return Err(fault(format!("more than {CALLS} templates are called")));
    }
    let mut inner = Scope {
        root: &value,
        variables: Vec::new(),
        templates,
        depth: scope.depth + 1,
        calls: scope.calls + 1,
        failed: None,
    };
    let written = write(nodes, &value, &mut inner, out);
    scope.calls = inner.calls;
    if written.is_err() {
        scope.failed = inner.failed.or_else(|| Some(name.to_owned()));
    }
    written.map(|_| ())
}

fn range(
    over: &Pipe,
    then: &[Node],
    otherwise: &[Node],
    dot: &Value,
    scope: &mut Scope<'_>,
    out: &mut String,
) -> Result<Flow, Fault> {
    let outer = scope.variables.len();
    let value = bare_value(over, dot, scope)?;
    let entries: Vec<(Value, Value)> = match value {
        Value::List(list) => (0..).map(Value::Integer).zip(list).collect(),
        Value::Map(map) => map
            .into_iter()
            .map(|(key, value)| (Value::Text(key), Value::Text(value)))
            .collect(),
        Value::Header(map) | Value::Query(map) => {
            let list = |values: Vec<String>| Value::List(values.into_iter().map(Value::Text).collect());
            map.into_iter()
                .map(|(name, values)| (Value::Text(name), list(values)))
                .collect()
        }
        Value::Missing => Vec::new(),
        other => {
            return Err(Fault {
                position: over.start,
                at: other.printed(),
                reason: format!("range can't iterate over {}", other.printed()),
            });
        }
    };
    if entries.is_empty() {
        return block(otherwise, dot, scope, out);
    }
    for (key, value) in entries {
        match over.variables.len() {
            2 => scope.bind(over, [key, value.clone()])?,
            _ => scope.bind(over, [value.clone()])?,
        }
        let flow = block(then, &value, scope, out)?;
        scope.variables.truncate(outer);
        if flow == Flow::Break {
            break;
        }
    }
    Ok(Flow::On)
}

/// The value of a pipe, which its variable gets.
fn value_of(pipe: &Pipe, dot: &Value, scope: &mut Scope<'_>) -> Result<Value, Fault> {
    let value = bare_value(pipe, dot, scope)?;
    scope.bind(pipe, [value.clone()])?;
    Ok(value)
}

fn bare_value(pipe: &Pipe, dot: &Value, scope: &mut Scope<'_>) -> Result<Value, Fault> {
    let mut last: Option<Value> = None;
    for command in &pipe.commands {
        last = Some(match command {
            Command::Call {
                function,
                arguments,
                start,
            } => call(*function, arguments, last, *start, dot, scope)?,
            Command::Method {
                operand,
                arguments,
                start,
            } => method(operand, arguments, last, *start, dot, scope)?,
            Command::Value(operand) if last.is_none() => value_at(operand, dot, scope)?,
            Command::Value(Operand::Call { function, start }) => call(*function, &[], last, *start, dot, scope)?,
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

/// `.Header.Get "name"`
fn method(
    operand: &Operand,
    arguments: &[Operand],
    last: Option<Value>,
    start: usize,
    dot: &Value,
    scope: &mut Scope<'_>,
) -> Result<Value, Fault> {
    let fault = |reason: String| Fault {
        position: start,
        at: shown(operand),
        reason,
    };
    let (object, name) = match operand {
        Operand::Fields { path, start } => (dot.clone(), (path, *start)),
        Operand::Variable { name, path, start } => (scope.get(name, *start)?, (path, *start)),
        Operand::Inner { pipe, path, start } => (value_of(pipe, dot, scope)?, (path, *start)),
        Operand::Literal(_) | Operand::Call { .. } => return Err(fault("no method".to_owned())),
    };
    let (path, at) = name;
    let (name, path) = path.split_last().ok_or_else(|| fault("no method".to_owned()))?;
    let object = reached(object, path, at)?;
    let mut values = Vec::with_capacity(arguments.len() + 1);
    for argument in arguments {
        values.push(value_at(argument, dot, scope)?);
    }
    values.extend(last);
    match (&object, name.as_str(), values.as_slice()) {
        (Value::Query(map), "Get", [Value::Text(key)]) => {
            let first = map.get(key).and_then(|values| values.first());
            Ok(Value::Text(first.cloned().unwrap_or_default()))
        }
        (Value::Query(map), "Has", [Value::Text(key)]) => Ok(Value::Bool(map.contains_key(key))),
        (Value::Header(map), "Get", [Value::Text(header)]) => {
            let first = map.get(&canonical(header)).and_then(|values| values.first());
            Ok(Value::Text(first.cloned().unwrap_or_default()))
        }
        (Value::Header(map), "Values", [Value::Text(header)]) => {
            let values = map.get(&canonical(header)).into_iter().flatten();
            Ok(Value::List(values.map(|value| value.as_str().into()).collect()))
        }
        (Value::Header(_), "Get" | "Values", _) | (Value::Query(_), "Get" | "Has", _) => Err(fault(format!(
            "wrong number of args for {name}: want 1 got {}",
            values.len()
        ))),
        _ => Err(fault(format!("{name} has arguments but cannot be invoked as function"))),
    }
}

fn call(
    function: Function,
    operands: &[Operand],
    last: Option<Value>,
    start: usize,
    dot: &Value,
    scope: &mut Scope<'_>,
) -> Result<Value, Fault> {
    let mut arguments = Vec::with_capacity(operands.len() + 1);
    for operand in operands {
        let value = value_at(operand, dot, scope)?;
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

fn value_at(operand: &Operand, dot: &Value, scope: &mut Scope<'_>) -> Result<Value, Fault> {
    match operand {
        Operand::Fields { path, start } => reached(dot.clone(), path, *start),
        Operand::Variable { name, path, start } => reached(scope.get(name, *start)?, path, *start),
        Operand::Literal(value) => Ok(value.clone()),
        Operand::Inner { pipe, path, start } => reached(value_of(pipe, dot, scope)?, path, *start),
        Operand::Call { function, start } => call(*function, &[], None, *start, dot, scope),
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
            Value::Record(ref record) | Value::Shown(_, ref record) => match record.field(name) {
                Some(field) => Ok(field.clone()),
                None => Err(fault(format!(
                    "can't evaluate field {name} in type {}",
                    record.type_name
                ))),
            },
            Value::Map(mut map) => Ok(map.remove(name).map_or(Value::Missing, Value::Text)),
            Value::Header(mut map) | Value::Query(mut map) => Ok(map.remove(name).map_or(Value::Missing, |values| {
                Value::List(values.into_iter().map(Value::Text).collect())
            })),
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
        Operand::Variable { name, path, .. } if path.is_empty() => format!("${name}"),
        Operand::Variable { name, path, .. } => format!("${name}{}", dotted(path)),
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
