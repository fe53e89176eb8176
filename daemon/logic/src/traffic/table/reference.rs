// SPDX-License-Identifier: Apache-2.0
//! The slow, obvious matcher: every rule one by one. Tests compare the table with it; `daemon/fuzz` links this file.

#![allow(unreachable_pub, reason = "reachable where it is linked")]

use crate::traffic::{PathRule, Request, Rule};

/// What `Table::find` must find.
pub fn find<'a, D>(rules: &'a [Rule<D>], request: &Request<'_>) -> Option<&'a PathRule<D>> {
    let name = request.host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let has_host = |rule: &&Rule<D>| rule.hosts.iter().any(|host| host.to_ascii_lowercase() == name);
    let holder = &rules.iter().find(has_host)?.owner;
    let held = rules.iter().filter(has_host).filter(|rule| rule.owner == *holder);
    let starts = |path: &&PathRule<D>| request.path.starts_with(&path.prefix);
    let holds = |path: &&PathRule<D>| path.conditions.iter().all(|condition| condition.holds(request.headers));
    held.flat_map(|rule| &rule.paths).filter(starts).find(holds)
}
