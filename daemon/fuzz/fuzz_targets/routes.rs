// SPDX-License-Identifier: Apache-2.0
//! Any rules and any request: the table finds what trying every rule finds.
#![no_main]
#![allow(clippy::panic, reason = "this is how a target fails")]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use logic::traffic::split::{Draw, Split};
use logic::traffic::{Condition, Headers, PathRule, Request, Rule, Table};

/// Few words, so that they meet.
const HOSTS: [&str; 6] = ["a", "A", "b", "B", "a.b", "c"];
const PATHS: [&str; 7] = ["", "/", "/a", "/a/", "/ab", "/a/b", "/é"];
const NAMES: [&str; 4] = ["x", "X", "y", "cookie"];
const VALUES: [&str; 6] = ["", "1", "2", "x=1", "x=1; y=2", "y"];

struct Pairs(Vec<(&'static str, &'static str)>);

impl Headers for Pairs {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.as_slice().any(name, holds)
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Too few bytes are no case.
    let _ = compare(&mut Unstructured::new(data));
});

fn compare(bytes: &mut Unstructured<'_>) -> Result<()> {
    let rules = many(bytes, 4, rule)?;
    let (table, _) = Table::build(rules.clone());
    for _ in 0..8 {
        let headers = Pairs(many(bytes, 4, |bytes| {
            Ok((*bytes.choose(&NAMES)?, *bytes.choose(&VALUES)?))
        })?);
        let host = format!("{}{}", bytes.choose(&HOSTS)?, bytes.choose(&["", ":80", ":"])?);
        let path = path(bytes)?;
        let request = Request {
            host: &host,
            path: &path,
            headers: &headers,
        };
        let pick = |split: &Split<u16>| split.pick(Draw::new(0)).copied();
        let expected = daemon_fuzz::routes_reference::find(&rules, &request).and_then(|path| pick(&path.split));
        assert_eq!(
            table.find(&request).and_then(pick),
            expected,
            "{host} {path} {:?} {rules:?}",
            headers.0
        );
    }
    Ok(())
}

fn rule(bytes: &mut Unstructured<'_>) -> Result<Rule<u16>> {
    Ok(Rule {
        owner: (*bytes.choose(&["p", "q"])?).to_owned(),
        hosts: many(bytes, 3, |bytes| Ok((*bytes.choose(&HOSTS)?).to_owned()))?,
        paths: many(bytes, 16, |bytes| {
            let (prefix, conditions) = (path(bytes)?, many(bytes, 3, condition)?);
            Ok(PathRule {
                prefix,
                conditions,
                split: Split::whole(bytes.arbitrary()?),
            })
        })?,
    })
}

fn path(bytes: &mut Unstructured<'_>) -> Result<String> {
    Ok(format!("{}{}", bytes.choose(&PATHS)?, bytes.choose(&PATHS)?))
}

fn condition(bytes: &mut Unstructured<'_>) -> Result<Condition> {
    let (name, value) = (*bytes.choose(&NAMES)?, *bytes.choose(&VALUES)?);
    Ok(match bytes.int_in_range(0..=3)? {
        0 => Condition::header(name, value),
        1 => Condition::header_present(name),
        2 => Condition::cookie(name, value),
        _ => Condition::cookie_present(name),
    })
}

fn many<T>(
    bytes: &mut Unstructured<'_>,
    most: usize,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = bytes.int_in_range(0..=most)?;
    (0..count).map(|_| one(bytes)).collect()
}
