// SPDX-License-Identifier: Apache-2.0

use super::*;
use crate::traffic::condition::{Condition, Headers};
use crate::traffic::split::Draw;
use proptest::prelude::*;

struct Pairs<'a>(&'a [(&'a str, &'a str)]);

impl Headers for Pairs<'_> {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.any(name, holds)
    }
}

fn path(prefix: &str, conditions: &[Condition], to: u32) -> PathRule<u32> {
    PathRule {
        prefix: prefix.into(),
        conditions: conditions.to_vec(),
        split: Split::whole(to),
    }
}

fn rule(owner: &str, hosts: &[&str], paths: Vec<PathRule<u32>>) -> Rule<u32> {
    Rule {
        owner: owner.into(),
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        paths,
    }
}

fn found(table: &Table<u32>, host: &str, path: &str, headers: &[(&str, &str)]) -> Option<u32> {
    let request = Request {
        host,
        path,
        headers: &Pairs(headers),
    };
    table.find(&request).and_then(|split| split.pick(Draw::new(0))).copied()
}

#[test]
fn the_first_listed_path_that_matches_wins() {
    let paths = vec![path("/foo", &[], 1), path("/foo/bar", &[], 2), path("", &[], 3)];
    let (table, refused) = Table::build([rule("ns/a", &["a.example.com"], paths)]);
    assert_eq!(refused, []);
    assert_eq!(found(&table, "A.example.com:8080", "/foo/bar", &[]), Some(1));
    assert_eq!(
        found(&table, "a.example.com", "/foobar", &[]),
        Some(1),
        "a prefix is literal"
    );
    assert_eq!(found(&table, "a.example.com", "/", &[]), Some(3));
    assert_eq!(found(&table, "b.example.com", "/", &[]), None);
}

#[test]
fn a_tag_header_goes_before_the_default_and_other_values_fall_through() {
    let tag = |name: &str| [Condition::header("Knative-Serving-Tag", name)];
    let paths = vec![path("", &tag("blue"), 1), path("", &tag("green"), 2), path("", &[], 3)];
    let (table, _) = Table::build([rule("ns/a", &["a"], paths)]);
    assert_eq!(found(&table, "a", "/", &[("knative-serving-tag", "green")]), Some(2));
    assert_eq!(found(&table, "a", "/", &[("knative-serving-tag", "")]), Some(3));
    assert_eq!(found(&table, "a", "/", &[]), Some(3));
}

#[test]
fn a_host_of_two_owners_stays_with_the_first_and_the_other_is_named() {
    let rules = [
        rule("ns/a", &["x", "x:80", "y"], vec![path("/a", &[], 1)]),
        rule("ns/b", &["X", "z", ""], vec![path("", &[], 2)]),
        rule("ns/a", &["x"], vec![path("", &[], 3)]),
    ];
    let (table, refused) = Table::build(rules);
    let messages: Vec<_> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            r#"host "x" of ns/b belongs to ns/a already"#,
            r#""" of ns/b is no host"#
        ]
    );
    assert_eq!(table.hosts(), 3);
    assert_eq!(found(&table, "x", "/a", &[]), Some(1));
    assert_eq!(found(&table, "x", "/", &[]), Some(3));
    assert_eq!(found(&table, "z", "/", &[]), Some(2));
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        ("[xy]", "[ab]").prop_map(|(name, value)| Condition::header(&name, &value)),
        "[xy]".prop_map(|name| Condition::header_present(&name)),
        ("[xy]", "[ab]").prop_map(|(name, value)| Condition::cookie(&name, &value)),
        "[xy]".prop_map(|name| Condition::cookie_present(&name)),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule<u32>>> {
    let path = (
        "(/[ab]?){0,3}",
        proptest::collection::vec(condition(), 0..3),
        any::<u32>(),
    );
    let path = path.prop_map(|(prefix, conditions, to)| path_of(&prefix, conditions, to));
    let paths = proptest::collection::vec(path, 0..30);
    let rule = ("[pq]", proptest::collection::vec("[hHiI]", 1..3), paths);
    let rule = rule.prop_map(|(owner, hosts, paths)| Rule { owner, hosts, paths });
    proptest::collection::vec(rule, 0..4)
}

fn path_of(prefix: &str, conditions: Vec<Condition>, to: u32) -> PathRule<u32> {
    PathRule {
        prefix: prefix.into(),
        conditions,
        split: Split::whole(to),
    }
}

proptest! {
    #[test]
    fn the_table_answers_as_trying_every_rule(
        rules in rules(),
        host in "[hHiI](:80)?",
        path in "(/[ab]?){0,4}",
        headers in proptest::collection::vec(("[xXy]|cookie", "[ab]|[xy]=[ab](; [xy]=[ab])?"), 0..5),
    ) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let asked = Request { host: &host, path: &path, headers: &Pairs(&headers) };
        let expected = reference::find(&rules, &asked).and_then(|path| path.split.pick(Draw::new(0))).copied();
        let (table, _) = Table::build(rules);
        prop_assert_eq!(found(&table, &host, &path, &headers), expected);
    }
}
