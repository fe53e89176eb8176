// SPDX-License-Identifier: Apache-2.0
//! What a path means: the objects of a resource, one of them, or a part of one.
//!
//! Depends on: resource.

use crate::refusal::Refusal;
use crate::resource::{self, Resource};

/// Objects, or one, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Objects {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) sub_resource: String,
}

pub(super) fn read(path: &str) -> Result<Objects, Refusal> {
    let decoded: Vec<String> = path.split('/').skip(1).map(super::query::decode).collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(nothing_at(path)),
    };
    let find = |plural: &str| resource::find(group, version, plural);
    let in_namespace = match rest {
        ["namespaces", namespace, plural, rest @ ..] => find(plural)
            .filter(|found| found.namespaced)
            .map(|found| (*namespace, found, rest)),
        _ => None,
    };
    let (namespace, resource, rest) = if let Some((namespace, resource, rest)) = in_namespace {
        (Some(namespace), resource, rest)
    } else if let ["namespaces", _, plural, ..] = rest
        && !matches!(*plural, "status" | "finalize")
    {
        return Err(unknown(group, version, plural));
    } else if let ["watch", ..] = rest {
        return Err(Refusal::not_allowed("the path prefix /watch (use ?watch=true)"));
    } else if let [plural, rest @ ..] = rest {
        let found = find(plural).ok_or_else(|| unknown(group, version, plural))?;
        (None, found, rest)
    } else {
        return Err(nothing_at(path));
    };
    let (name, sub_resource) = match rest {
        [] => (None, String::new()),
        [name] => (Some(*name), String::new()),
        [name, sub @ ..] => (Some(*name), sub.join("/")),
    };
    if name.is_some() && resource.namespaced && namespace.is_none() {
        return Err(nothing_at(path));
    }
    Ok(Objects {
        resource,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        sub_resource,
    })
}

fn nothing_at(path: &str) -> Refusal {
    Refusal::NoPath(format!("the path {path}"))
}

fn unknown(group: &str, version: &str, plural: &str) -> Refusal {
    let of_group = if group.is_empty() {
        "the core group".to_owned()
    } else {
        format!("the group {group}")
    };
    Refusal::NoPath(format!("the resource {plural} of {of_group} in version {version}"))
}
