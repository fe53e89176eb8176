// SPDX-License-Identifier: Apache-2.0
//! What a path means.
//!
//! Depends on: resource.

use crate::refusal::Refusal;
use crate::resource::{self, Resource};

/// What a path means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// Objects.
    Objects(Objects),
    /// Nothing.
    Nothing,
}

/// Objects, or one, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Objects {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) sub_resource: String,
}

pub(super) fn read(path: &str) -> Result<Target, Refusal> {
    let decoded: Vec<String> = path.split('/').skip(1).map(super::query::decode).collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Ok(Target::Nothing),
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
    } else if let ["watch", ..] = rest {
        return Err(Refusal::not_allowed("the path prefix /watch (use ?watch=true)"));
    } else if let [plural, rest @ ..] = rest {
        let Some(found) = find(plural) else {
            return Ok(Target::Nothing);
        };
        (None, found, rest)
    } else {
        return Ok(Target::Nothing);
    };
    let (name, sub_resource) = match rest {
        [] => (None, String::new()),
        [name] => (Some(*name), String::new()),
        [name, sub @ ..] => (Some(*name), sub.join("/")),
    };
    if name.is_some() && resource.namespaced && namespace.is_none() {
        return Ok(Target::Nothing);
    }
    Ok(Target::Objects(Objects {
        resource,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        sub_resource,
    }))
}
