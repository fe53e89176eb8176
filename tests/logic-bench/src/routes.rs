// SPDX-License-Identifier: Apache-2.0
//! Finding a route and drawing from its split, with ten routes and with a hundred thousand.
//!
//! Mechanism: hosts are asked for in random order, as a gateway is: with many routes most are in no near cache.
//! Depends on: figure.

use crate::figure::Figure;
use logic::traffic::{BackendPort, Condition, Destination, Draw, Headers, PathRule, Request, Rule, Split, Table};
use std::time::Instant;

const LOOK_UPS: usize = 100_000;
const TAG: &str = "Knative-Serving-Tag";

pub(crate) fn figures() -> Vec<Figure> {
    let bounds = (300.0, 300.0);
    vec![
        Figure::new("route look-up, 10 routes", "ns", bounds, by_host(10)),
        Figure::new("route look-up, 1 000 routes", "ns", bounds, by_host(1_000)),
        Figure::new("route look-up, 100 000 routes", "ns", bounds, by_host(100_000)),
        Figure::new(
            "route look-up, 10 000 tags of one host, by header",
            "ns",
            (1000.0, 300.0),
            by_tag(10_000),
        ),
    ]
}

struct Tagged<'a>(&'a str);

impl Headers for Tagged<'_> {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        [(TAG, self.0), ("accept", "*/*")].as_slice().any(name, holds)
    }
}

fn split(revision: &str) -> Split<Destination> {
    let to = |name: String| Destination::new("default", &name, BackendPort::Number(80));
    Split::weighted([
        (90, to(format!("{revision}-00001"))),
        (10, to(format!("{revision}-00002"))),
    ])
}

fn path(revision: &str, conditions: Vec<Condition>) -> PathRule<Destination> {
    PathRule {
        prefix: String::new(),
        conditions,
        split: split(revision),
    }
}

fn by_host(count: usize) -> impl FnMut() -> f64 {
    let name = |number: usize| format!("service-{number}");
    let host = move |number: usize| format!("{}.default.example.com", name(number));
    let rules = (0..count).map(|number| Rule {
        owner: format!("default/{}", name(number)),
        hosts: vec![host(number)],
        paths: vec![path(&name(number), Vec::new())],
    });
    let (table, _) = Table::build(rules);
    asking(table, (0..count).map(|number| (host(number), String::new())).collect())
}

fn by_tag(count: usize) -> impl FnMut() -> f64 {
    let tag = |number: usize| format!("tag-{number}");
    let tagged = (0..count).map(|number| path(&tag(number), vec![Condition::header(TAG, &tag(number))]));
    let paths = tagged.chain([path("default", Vec::new())]).collect();
    let host = "service.default.example.com".to_owned();
    let (table, _) = Table::build([Rule {
        owner: "default/service".to_owned(),
        hosts: vec![host.clone()],
        paths,
    }]);
    asking(table, (0..count).map(|number| (host.clone(), tag(number))).collect())
}

/// Looks up host and tag header, of `known` ones in random order.
fn asking(table: Table<Destination>, known: Vec<(String, String)>) -> impl FnMut() -> f64 {
    let mut random = fastrand::Rng::with_seed(7);
    // One after the other in memory: it is the table that is measured, not the list of questions.
    let mut text = String::new();
    let mut add = |word: &str| {
        let from = text.len();
        text.push_str(word);
        from..text.len()
    };
    let asked: Vec<_> = (0..LOOK_UPS)
        .map(|_| &known[random.usize(..known.len())])
        .map(|(host, tag)| (add(host), add(tag)))
        .collect();
    let mut pass = move || {
        let begun = Instant::now();
        let mut found = 0;
        for (host, tag) in &asked {
            let (host, tag) = (&text[host.clone()], &text[tag.clone()]);
            let request = Request {
                host,
                path: "/orders/17",
                headers: &Tagged(tag),
            };
            let draw = Draw::new(random.u64(..));
            let to = table.find(&request).and_then(|split| split.pick(draw));
            found += usize::from(to.is_some_and(|to| !to.service.is_empty()));
        }
        let time = begun.elapsed().as_secs_f64() * 1e9 / LOOK_UPS as f64;
        assert_eq!(found, LOOK_UPS, "every route is found");
        time
    };
    move || {
        // The figure before this one has filled the caches with its own.
        pass();
        pass()
    }
}
