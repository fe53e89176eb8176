// SPDX-License-Identifier: Apache-2.0
//! Knative's breaker, played by the limiter: one pod without a limit of its own, the breaker's capacity as the limit here.
//!
//! Depends on: nothing.

use logic::limiter::{Admission, Ask, Backends, Effect, Home, Limiter, PodId, PodSpec, QueueBound, Settings, Ticket};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;

#[derive(Deserialize)]
pub(super) struct Input {
    queue_depth: u64,
    max_concurrency: u64,
    initial_capacity: u32,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    op: String,
    capacity: Option<u32>,
}

struct Play {
    limiter: Limiter,
    running: VecDeque<Ticket>,
    waiting: VecDeque<Ticket>,
    reserved: VecDeque<Ticket>,
    rejected: u32,
}

/// The counts after each event.
pub(super) fn play(input: Input) -> Value {
    let settings = Settings {
        queue: QueueBound::Present(input.queue_depth + input.max_concurrency),
        ..Settings::like_knative(0)
    };
    let mut limiter = Limiter::new(settings, 0);
    limiter.set_limit(input.initial_capacity);
    let pod = PodSpec {
        id: PodId(0),
        home: Home::Here,
        accepting: true,
    };
    limiter.set_backends(Backends::Pods(&[pod]));
    let mut play = Play {
        limiter,
        running: VecDeque::new(),
        waiting: VecDeque::new(),
        reserved: VecDeque::new(),
        rejected: 0,
    };
    input.events.iter().map(|event| play.step(event)).collect()
}

impl Play {
    fn step(&mut self, event: &Event) -> Value {
        let mut extra = match event.op.as_str() {
            "request" => json!({"outcome": self.request()}),
            "reserve" => json!({"reserved": self.reserve()}),
            "finish" => json!({"outcome": end(&mut self.limiter, self.running.pop_front(), "finished")}),
            "release" => json!({"outcome": end(&mut self.limiter, self.reserved.pop_front(), "released")}),
            "cancel_queued" => json!({"outcome": end(&mut self.limiter, self.waiting.pop_front(), "cancelled")}),
            "update_capacity" => {
                self.limiter.set_limit(event.capacity.unwrap_or_default());
                json!({})
            }
            op => json!({"unknown event": op}),
        };
        while let Some(effect) = self.limiter.next_effect() {
            if let Effect::Start(ticket, _) = effect {
                self.waiting.retain(|waiting| *waiting != ticket);
                self.running.push_back(ticket);
            }
        }
        let counts = self.limiter.counts();
        extra["capacity"] = json!(self.limiter.limit());
        extra["in_flight"] = json!(counts.present());
        extra["running"] = json!(counts.running as usize - self.reserved.len());
        extra["queued"] = json!(counts.waiting);
        extra["reservations"] = json!(self.reserved.len());
        extra["rejected_total"] = json!(self.rejected);
        extra
    }

    fn request(&mut self) -> &'static str {
        match self.limiter.arrive(0) {
            Admission::Start(ticket, _) | Admission::Ask(Ask { ticket, .. }) => {
                self.running.push_back(ticket);
                "running"
            }
            Admission::Wait(ticket) => {
                self.waiting.push_back(ticket);
                "queued"
            }
            Admission::Refused(_) => {
                self.rejected += 1;
                "rejected"
            }
        }
    }

    fn reserve(&mut self) -> bool {
        let admission = self.limiter.arrive_or_leave(0);
        if let Admission::Start(ticket, _) = admission {
            self.reserved.push_back(ticket);
        }
        matches!(admission, Admission::Start(..))
    }
}

fn end(limiter: &mut Limiter, ticket: Option<Ticket>, done: &'static str) -> &'static str {
    match ticket {
        Some(ticket) if limiter.end(ticket) => done,
        _ => "nothing",
    }
}
