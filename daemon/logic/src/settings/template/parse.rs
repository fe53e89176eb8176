// SPDX-License-Identifier: Apache-2.0
//! Makes nodes of the pieces of a template.
//!
//! Invariants: blocks are nested at most `DEPTH` deep; an unknown function is an error here, as in Go.
//! Depends on: error, function, lex.

use super::error::{TemplateError, place};
use super::function::Function;
use super::lex::{self, Kind, Piece, Token};
use super::value::Value;
use crate::go::print::quoted;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::slice::Iter;

/// How deep blocks and parentheses may be nested.
const DEPTH: usize = 50;

/// What a text is made of.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) nodes: Vec<Node>,
    /// Those that `define` and `block` made, by name.
    pub(super) templates: Templates,
}

/// Templates by name.
pub(super) type Templates = BTreeMap<String, Vec<Node>>;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Output(Pipe),
    /// `with` makes the condition's value the dot.
    Choice {
        condition: Pipe,
        is_with: bool,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// Once for each value, which is the dot.
    Range {
        over: Pipe,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// The innermost range ends.
    Break,
    /// The innermost range goes on to its next value.
    Continue,
    /// Another template, over its own value.
    Call {
        name: String,
        argument: Option<Pipe>,
        start: usize,
    },
}

/// Commands; each gets the value of the one before as its last argument.
#[derive(Clone, Debug)]
pub(super) struct Pipe {
    /// Variables that get its value; of a range the last is the value, one before it the place.
    pub(super) variables: Vec<String>,
    /// They are new here, rather than changed.
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
    pub(super) start: usize,
}

/// One command of a pipe.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Call {
        function: Function,
        arguments: Vec<Operand>,
        start: usize,
    },
    /// The last name of the operand's path is called.
    Method {
        operand: Operand,
        arguments: Vec<Operand>,
        start: usize,
    },
    Value(Operand),
}

/// A value that is written down.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// The dot, or fields of it.
    Fields {
        path: Vec<String>,
        start: usize,
    },
    /// A variable, or fields of it; without a name what the template is rendered over.
    Variable {
        name: String,
        path: Vec<String>,
        start: usize,
    },
    Literal(Value),
    /// A pipe in parentheses, or fields of its value.
    Inner {
        pipe: Box<Pipe>,
        path: Vec<String>,
        start: usize,
    },
    /// A function without arguments, as an argument.
    Call {
        function: Function,
        start: usize,
    },
}

impl Operand {
    fn has_path(&self) -> bool {
        match self {
            Self::Fields { path, .. } | Self::Variable { path, .. } | Self::Inner { path, .. } => !path.is_empty(),
            Self::Literal(_) | Self::Call { .. } => false,
        }
    }
}

/// The nodes of a template.
pub(super) fn parsed(name: &'static str, text: &str) -> Result<Parsed, TemplateError> {
    let error = |fault: Fault| TemplateError::Parse {
        name,
        line: place(text, fault.position).0,
        reason: fault.reason,
    };
    let pieces = lex::pieces(text).map_err(|fault| {
        error(Fault {
            position: fault.position,
            reason: fault.reason,
        })
    })?;
    let mut parser = Parser {
        pieces: pieces.iter().peekable(),
        end: text.len(),
        templates: Templates::new(),
        ranges: 0,
    };
    let (nodes, stop) = parser.block(0).map_err(error)?;
    match stop {
        Stop::End => {
            let templates = parser.templates;
            for nodes in templates.values().chain([&nodes]) {
                check_block(nodes, &mut Vec::new()).map_err(error)?;
            }
            Ok(Parsed { nodes, templates })
        }
        Stop::Word(word, position, _) => Err(error(Fault {
            position,
            reason: format!("unexpected {{{{{word}}}}}"),
        })),
    }
}

struct Fault {
    position: usize,
    reason: String,
}

fn fault<T>(position: usize, reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        position,
        reason: reason.into(),
    })
}

/// What ended a block.
enum Stop<'a> {
    /// The end of the text.
    End,
    /// `end` or `else`, where, and what follows it in the action.
    Word(&'a str, usize, &'a [Token]),
}

struct Parser<'a> {
    pieces: Peekable<Iter<'a, Piece>>,
    end: usize,
    templates: Templates,
    /// How many ranges are open here.
    ranges: usize,
}

impl<'a> Parser<'a> {
    fn block(&mut self, depth: usize) -> Result<(Vec<Node>, Stop<'a>), Fault> {
        if depth > DEPTH {
            return fault(self.end, "blocks are nested too deeply");
        }
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, start) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.clone()));
                    continue;
                }
                Piece::Action { tokens, start } => (tokens, *start),
            };
            let (word, rest) = match tokens.split_first() {
                Some((
                    Token {
                        kind: Kind::Word(word), ..
                    },
                    rest,
                )) => (word.as_str(), rest),
                _ => ("", tokens.as_slice()),
            };
            match word {
                "end" | "else" => return Ok((nodes, Stop::Word(word, start, rest))),
                "if" | "with" | "range" => nodes.push(self.choice(word, rest, start, depth)?),
                "break" | "continue" => nodes.push(self.jump(word, rest, start)?),
                "template" => nodes.push(call(rest, start, "template")?),
                "block" => nodes.push(self.inline(rest, start, depth)?),
                "define" if depth == 0 => self.define(rest, start)?,
                "define" => return fault(start, "unexpected {{define}}"),
                _ => nodes.push(Node::Output(pipe(tokens, start, 0)?)),
            }
        }
        Ok((nodes, Stop::End))
    }

    fn jump(&self, word: &str, rest: &[Token], start: usize) -> Result<Node, Fault> {
        match (self.ranges, rest) {
            (0, _) => fault(start, format!("{{{{{word}}}}} outside {{{{range}}}}")),
            (_, [unexpected, ..]) => fault(unexpected.start, format!("unexpected token in {{{{{word}}}}}")),
            _ if word == "break" => Ok(Node::Break),
            _ => Ok(Node::Continue),
        }
    }

    /// A template, which stands beside the text.
    fn define(&mut self, rest: &[Token], start: usize) -> Result<(), Fault> {
        let (name, rest) = template_name(rest, start, "define")?;
        match rest.first() {
            Some(unexpected) => fault(unexpected.start, "unexpected token in define clause"),
            None => self.template(name, start, 0),
        }
    }

    /// A template that is also called where it is made.
    fn inline(&mut self, rest: &[Token], start: usize, depth: usize) -> Result<Node, Fault> {
        let node = call(rest, start, "block")?;
        let (name, _) = template_name(rest, start, "block")?;
        self.template(name, start, depth)?;
        Ok(node)
    }

    /// Its nodes, up to its end. An empty one never takes the place of another.
    fn template(&mut self, name: &str, start: usize, depth: usize) -> Result<(), Fault> {
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, stop) = self.block(depth + 1)?;
        self.ranges = ranges;
        match stop {
            Stop::End => return fault(self.end, "unexpected EOF"),
            Stop::Word("end", ..) => {}
            Stop::Word(word, position, _) => return fault(position, format!("unexpected {{{{{word}}}}}")),
        }
        let known = self.templates.get(name);
        match known.is_none_or(|known| is_empty(known)) {
            true => drop(self.templates.insert(name.to_owned(), nodes)),
            false if is_empty(&nodes) => {}
            false => return fault(start, format!("multiple definition of template {}", quoted(name))),
        }
        Ok(())
    }

    fn choice(&mut self, word: &str, condition: &[Token], start: usize, depth: usize) -> Result<Node, Fault> {
        let condition = pipe(condition, start, 0)?;
        let is_range = usize::from(word == "range");
        self.ranges += is_range;
        let (then, stop) = self.block(depth + 1)?;
        self.ranges -= is_range;
        let otherwise = match stop {
            Stop::End => return fault(self.end, "unexpected EOF"),
            Stop::Word("end", ..) => Vec::new(),
            Stop::Word(_, start, rest) => self.otherwise(word, rest, start, depth)?,
        };
        if word == "range" {
            let over = condition;
            return Ok(Node::Range { over, then, otherwise });
        }
        Ok(Node::Choice {
            condition,
            is_with: word == "with",
            then,
            otherwise,
        })
    }

    /// After `else`, or `else if` and `else with`.
    fn otherwise(&mut self, word: &str, rest: &[Token], start: usize, depth: usize) -> Result<Vec<Node>, Fault> {
        match rest.split_first() {
            None => match self.block(depth + 1)? {
                (nodes, Stop::Word("end", ..)) => Ok(nodes),
                (_, Stop::Word(_, position, _)) => fault(position, "expected end; found {{else}}"),
                (_, Stop::End) => fault(self.end, "unexpected EOF"),
            },
            Some((
                Token {
                    kind: Kind::Word(next), ..
                },
                condition,
            )) if next == word && word != "range" => Ok(vec![self.choice(word, condition, start, depth + 1)?]),
            Some(_) => fault(start, "unexpected token in else"),
        }
    }
}

fn is_empty(nodes: &[Node]) -> bool {
    nodes
        .iter()
        .all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

fn template_name<'a>(tokens: &'a [Token], start: usize, word: &str) -> Result<(&'a str, &'a [Token]), Fault> {
    match tokens.split_first() {
        Some((
            Token {
                kind: Kind::Text(name), ..
            },
            rest,
        )) => Ok((name, rest)),
        _ => fault(start, format!("unexpected token in {word} clause")),
    }
}

/// `"name"`, or `"name" pipe`; a block needs its pipe.
fn call(tokens: &[Token], start: usize, word: &str) -> Result<Node, Fault> {
    let (name, rest) = template_name(tokens, start, word)?;
    let argument = match rest {
        [] if word == "block" => return fault(start, "missing value for block clause"),
        [] => None,
        _ => Some(pipe(rest, start, 0)?),
    };
    Ok(Node::Call {
        name: name.to_owned(),
        argument,
        start: tokens.first().map_or(start, |token| token.start),
    })
}

fn pipe(tokens: &[Token], start: usize, depth: usize) -> Result<Pipe, Fault> {
    if depth > DEPTH {
        return fault(start, "parentheses are nested too deeply");
    }
    let (variables, declares, tokens) = declaration(tokens);
    if tokens.is_empty() {
        return fault(start, "missing value for command");
    }
    let mut commands = Vec::new();
    let mut level = 0_usize;
    let parts = tokens.split(|token| {
        match token.kind {
            Kind::Open => level += 1,
            Kind::Close => level = level.saturating_sub(1),
            _ => {}
        }
        level == 0 && token.kind == Kind::Pipe
    });
    for part in parts {
        let command = command(part, start, depth)?;
        if let (false, Command::Value(Operand::Literal(_))) = (commands.is_empty(), &command) {
            return fault(start, "non executable command in pipeline stage 2");
        }
        commands.push(command);
    }
    Ok(Pipe {
        variables,
        declares,
        commands,
        start,
    })
}

/// `$a :=`, `$a, $b :=` or `$a =`, and what follows.
fn declaration(tokens: &[Token]) -> (Vec<String>, bool, &[Token]) {
    let kind = |at: usize| tokens.get(at).map(|token| &token.kind);
    let (variables, at) = match (kind(0), kind(1), kind(2)) {
        (Some(Kind::Variable(first)), Some(Kind::Comma), Some(Kind::Variable(second))) => {
            (vec![first.clone(), second.clone()], 3)
        }
        (Some(Kind::Variable(name)), ..) => (vec![name.clone()], 1),
        _ => return (Vec::new(), false, tokens),
    };
    match kind(at) {
        Some(sign @ (Kind::Declare | Kind::Assign)) => {
            let rest = tokens.get(at + 1..).unwrap_or_default();
            (variables, *sign == Kind::Declare, rest)
        }
        _ => (Vec::new(), false, tokens),
    }
}

fn command(tokens: &[Token], start: usize, depth: usize) -> Result<Command, Fault> {
    let Some((first, rest)) = tokens.split_first() else {
        return fault(start, "missing value for command");
    };
    if let Kind::Word(word) = &first.kind
        && !matches!(word.as_str(), "true" | "false" | "nil")
    {
        return Ok(Command::Call {
            function: function(word, first.start)?,
            arguments: operands(rest, depth)?,
            start: first.start,
        });
    }
    let mut operands = operands(tokens, depth)?.into_iter();
    let operand = operands.next();
    let arguments: Vec<_> = operands.collect();
    match operand {
        Some(operand) if arguments.is_empty() => Ok(Command::Value(operand)),
        Some(operand @ (Operand::Fields { .. } | Operand::Variable { .. } | Operand::Inner { .. }))
            if operand.has_path() =>
        {
            Ok(Command::Method {
                operand,
                arguments,
                start,
            })
        }
        _ => fault(start, "only a function takes arguments"),
    }
}

fn operands(tokens: &[Token], depth: usize) -> Result<Vec<Operand>, Fault> {
    let mut operands = Vec::new();
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        rest = after;
        let is_chained = matches!(token.kind, Kind::Field(_)) && !token.is_apart && !operands.is_empty();
        if is_chained {
            chain(operands.last_mut(), token)?;
            continue;
        }
        if token.kind == Kind::Open {
            let length = closing(rest, token.start)?;
            let (inside, after) = rest.split_at(length);
            rest = after.get(1..).unwrap_or_default();
            operands.push(Operand::Inner {
                pipe: Box::new(pipe(inside, token.start, depth + 1)?),
                path: Vec::new(),
                start: token.start,
            });
            continue;
        }
        operands.push(operand(token)?);
    }
    Ok(operands)
}

/// Where the parenthesis is closed.
fn closing(tokens: &[Token], start: usize) -> Result<usize, Fault> {
    let mut level = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => level += 1,
            Kind::Close if level == 0 => return Ok(index),
            Kind::Close => level -= 1,
            _ => {}
        }
    }
    fault(start, "unclosed left paren")
}

/// `.A.B`, `(…).A`
fn chain(operand: Option<&mut Operand>, token: &Token) -> Result<(), Fault> {
    match (operand, &token.kind) {
        (
            Some(
                Operand::Fields { path, start }
                | Operand::Variable { path, start, .. }
                | Operand::Inner { path, start, .. },
            ),
            Kind::Field(name),
        ) => {
            // Go reports a chain of fields at its second.
            if path.len() == 1 {
                *start = token.start;
            }
            path.push(name.clone());
            Ok(())
        }
        _ => fault(token.start, "unexpected field after a constant or a function"),
    }
}

fn operand(token: &Token) -> Result<Operand, Fault> {
    let start = token.start;
    Ok(match &token.kind {
        Kind::Dot => Operand::Fields {
            path: Vec::new(),
            start,
        },
        Kind::Field(name) => Operand::Fields {
            path: vec![name.clone()],
            start,
        },
        Kind::Text(text) => Operand::Literal(Value::Text(text.clone())),
        Kind::Integer(value) => Operand::Literal(Value::Integer(*value)),
        Kind::Float(value) => Operand::Literal(Value::Float(*value)),
        Kind::Word(word) => match word.as_str() {
            "true" => Operand::Literal(Value::Bool(true)),
            "false" => Operand::Literal(Value::Bool(false)),
            "nil" => Operand::Literal(Value::Missing),
            _ => Operand::Call {
                function: function(word, start)?,
                start,
            },
        },
        Kind::Variable(name) => Operand::Variable {
            name: name.clone(),
            path: Vec::new(),
            start,
        },
        Kind::Assign | Kind::Declare | Kind::Comma => return fault(start, "unexpected assignment in command"),
        Kind::Close => return fault(start, "unexpected right paren"),
        Kind::Open | Kind::Pipe => return fault(start, "unexpected operand"),
    })
}

fn function(word: &str, start: usize) -> Result<Function, Fault> {
    Function::named(word).map_or_else(|| fault(start, format!("function {word:?} not defined")), Ok)
}

/// Whether every variable is declared before it is used.
fn check_block(nodes: &[Node], scope: &mut Vec<String>) -> Result<(), Fault> {
    let outer = scope.len();
    for node in nodes {
        match node {
            Node::Text(_) | Node::Break | Node::Continue | Node::Call { argument: None, .. } => {}
            Node::Output(pipe) => check_pipe(pipe, scope)?,
            Node::Call {
                argument: Some(pipe), ..
            } => {
                let before = scope.len();
                check_pipe(pipe, scope)?;
                scope.truncate(before);
            }
            Node::Choice {
                condition: pipe,
                then,
                otherwise,
                ..
            }
            | Node::Range {
                over: pipe,
                then,
                otherwise,
            } => {
                let before = scope.len();
                check_pipe(pipe, scope)?;
                check_block(then, scope)?;
                check_block(otherwise, scope)?;
                scope.truncate(before);
            }
        }
    }
    scope.truncate(outer);
    Ok(())
}

fn check_pipe(pipe: &Pipe, scope: &mut Vec<String>) -> Result<(), Fault> {
    for command in &pipe.commands {
        match command {
            Command::Value(operand) => check_operand(operand, scope)?,
            Command::Call { arguments, .. } => check_operands(arguments, scope)?,
            Command::Method { operand, arguments, .. } => {
                check_operand(operand, scope)?;
                check_operands(arguments, scope)?;
            }
        }
    }
    for name in &pipe.variables {
        if !pipe.declares {
            check_name(name, pipe.start, scope)?;
        }
    }
    if pipe.declares {
        scope.extend(pipe.variables.iter().cloned());
    }
    Ok(())
}

fn check_operands(operands: &[Operand], scope: &mut Vec<String>) -> Result<(), Fault> {
    operands.iter().try_for_each(|operand| check_operand(operand, scope))
}

fn check_operand(operand: &Operand, scope: &mut Vec<String>) -> Result<(), Fault> {
    match operand {
        Operand::Variable { name, start, .. } => check_name(name, *start, scope),
        Operand::Inner { pipe, .. } => check_pipe(pipe, scope),
        Operand::Fields { .. } | Operand::Literal(_) | Operand::Call { .. } => Ok(()),
    }
}

fn check_name(name: &String, start: usize, scope: &[String]) -> Result<(), Fault> {
    match name.is_empty() || scope.contains(name) {
        true => Ok(()),
        false => fault(start, format!("undefined variable \"${name}\"")),
    }
}
