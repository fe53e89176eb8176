// SPDX-License-Identifier: Apache-2.0
//! What there is: versions, groups, resources and their verbs.
//!
//! Depends on: resource.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::meta;
use crate::resource::{self, Resource};

/// The Kubernetes version whose API this is modelled on.
const VERSION: (&str, &str, &str) = ("1", "35", "v1.35.0-sluice");
const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The document at a path, if it is one of discovery.
pub(super) fn document(path: &str) -> Option<Value> {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
    match parts.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})),
        ["apis"] => {
            let groups: Vec<Value> = groups()
                .into_iter()
                .map(|(name, versions)| group(name, &versions))
                .collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["api", "v1"] => resources("", "v1"),
        ["apis", name] => {
            let mut found = group(name, groups().get(name)?);
            meta::fields(&mut found).insert("kind".to_owned(), "APIGroup".into());
            meta::fields(&mut found).insert("apiVersion".to_owned(), "v1".into());
            Some(found)
        }
        ["apis", group, version] => resources(group, version),
        _ => None,
    }
}

fn version() -> Value {
    let (major, minor, git) = VERSION;
    json!({
        "major": major, "minor": minor, "gitVersion": git, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux",
    })
}

fn groups() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for resource in resource::all().iter().filter(|resource| !resource.group.is_empty()) {
        let versions = groups.entry(resource.group).or_default();
        if !versions.contains(&resource.version) {
            versions.push(resource.version);
        }
    }
    // A stable version is the preferred one.
    for versions in groups.values_mut() {
        versions.sort_by_key(|version| (version.contains("alpha"), version.contains("beta")));
    }
    groups
}

fn group(name: &str, versions: &[&str]) -> Value {
    let written: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "preferredVersion": written.first(), "versions": written})
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let is_in = |resource: &&Resource| resource.group == group && resource.version == version;
    let found: Vec<&Resource> = resource::all().iter().filter(is_in).collect();
    let first = found.first()?;
    let listed: Vec<Value> = found.iter().flat_map(|resource| rows(resource)).collect();
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": first.api_version(), "resources": listed,
    }))
}

fn rows(resource: &Resource) -> Vec<Value> {
    let mut whole = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": VERBS,
    });
    if !resource.short_names.is_empty() {
        meta::fields(&mut whole).insert("shortNames".to_owned(), resource.short_names.clone().into());
    }
    if !resource.categories.is_empty() {
        meta::fields(&mut whole).insert("categories".to_owned(), resource.categories.clone().into());
    }
    let part = |name: &str, kind: &str| {
        json!({
            "name": format!("{}/{name}", resource.plural), "singularName": "", "namespaced": resource.namespaced,
            "kind": kind, "verbs": ["get", "patch", "update"],
        })
    };
    let mut rows = vec![whole];
    if resource.has_status {
        rows.push(part("status", resource.kind));
    }
    if resource.has_scale {
        let mut scale = part("scale", "Scale");
        meta::fields(&mut scale).insert("group".to_owned(), "autoscaling".into());
        meta::fields(&mut scale).insert("version".to_owned(), "v1".into());
        rows.push(scale);
    }
    rows
}
