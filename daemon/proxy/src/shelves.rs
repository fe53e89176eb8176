// SPDX-License-Identifier: Apache-2.0
//! The idle connections to a pod, a stack for each core.
//!
//! Problem: a connection that another core used last is registered with that core's runtime and warm in its cache; but a pod
//! that serves one connection at a time must not get a second one while the first lies idle elsewhere.
//! Mechanism: a core takes from its own stack; from another's, which moves the connection, only when its own is empty.
//! Invariants: nothing is found only if all are empty; at most so many lie here in all.
//! Depends on: cores, stream.

use crate::cores;
use crate::stream::Stream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Cores beyond that share a stack with another.
const STACKS: usize = 8;

/// Connections with the time since when they lie there, the warmest on top.
type Stack = Vec<(Stream, Instant)>;

/// Idle connections.
#[derive(Debug, Default)]
pub(crate) struct Shelves([Mutex<Stack>; STACKS]);

impl Shelves {
    /// The warmest one, of this core if it has one.
    pub(crate) fn pop(&self) -> Option<(Stream, Instant)> {
        let own = cores::here() % STACKS;
        let (before, from) = self.0.split_at_checked(own)?;
        from.iter().chain(before).find_map(|stack| lock(stack).pop())
    }

    /// Closes those that lie here for longer than `age`.
    pub(crate) fn close_old(&self, now: Instant, age: Duration) {
        for stack in &self.0 {
            close_old(&mut lock(stack), now, age);
        }
    }

    /// Puts one down here, unless that makes too many; `open` of them are open, here or in use. Old ones are closed.
    pub(crate) fn push(&self, stream: Stream, now: Instant, age: Duration, most: usize, open: usize) {
        let own = cores::here() % STACKS;
        if open <= most {
            if let Some(stack) = self.0.get(own) {
                let mut stack = lock(stack);
                close_old(&mut stack, now, age);
                stack.push((stream, now));
            }
            return;
        }
        // Always in the same order: no two wait for each other.
        let mut all: Vec<_> = self.0.iter().map(lock).collect();
        for stack in &mut all {
            close_old(stack, now, age);
        }
        let lying: usize = all.iter().map(|stack| stack.len()).sum();
        if lying < most
            && let Some(stack) = all.get_mut(own)
        {
            stack.push((stream, now));
        }
    }
}

/// The oldest lie at the bottom.
fn close_old(stack: &mut Stack, now: Instant, age: Duration) {
    let is_old = |(_, since): &&(Stream, Instant)| now.saturating_duration_since(*since) > age;
    let old = stack.iter().take_while(is_old).count();
    stack.drain(..old);
}

fn lock(stack: &Mutex<Stack>) -> MutexGuard<'_, Stack> {
    stack.lock().unwrap_or_else(PoisonError::into_inner)
}
