// SPDX-License-Identifier: Apache-2.0
//! The environment and the command of a container.
//!
//! Source: Kubernetes' kubelet (`makeEnvironmentVariables`, `third_party/forked/golang/expansion`).
//! Invariants: pure; later definitions win; `$(NAME)` means what is defined before it.
//! Depends on: facts.

use std::collections::BTreeMap;

use base64::Engine as _;
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource};
use serde_json::Value;

use super::facts::{Facts, Look, Missing, Source};
use super::image::Config;

/// The whole environment of a container: its image's, then `envFrom`, then `env`.
///
/// # Errors
/// What is not there and not optional.
pub(super) fn environment(
    container: &Container,
    facts: &Facts<'_>,
    image: &Config,
    look: Look<'_>,
) -> Result<BTreeMap<String, String>, Missing> {
    let mut all = BTreeMap::from([(
        "PATH".to_owned(),
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
    )]);
    let image = image.env.iter().filter_map(|pair| pair.split_once('='));
    all.extend(image.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.insert("HOSTNAME".to_owned(), hostname(facts));
    let mut own = BTreeMap::new();
    for from in container.env_from.iter().flatten() {
        let map = from
            .config_map_ref
            .as_ref()
            .map(|one| (Source::ConfigMap, &one.name, one.optional));
        let secret = from
            .secret_ref
            .as_ref()
            .map(|one| (Source::Secret, &one.name, one.optional));
        let Some((source, name, optional)) = map.or(secret) else {
            continue;
        };
        let Some(object) = look(source, name) else {
            if optional == Some(true) {
                continue;
            }
            return Err(absent(source, name));
        };
        let prefix = from.prefix.as_deref().unwrap_or_default();
        own.extend(
            entries(source, &object)
                .into_iter()
                .filter_map(|(key, value)| Some((format!("{prefix}{key}"), String::from_utf8(value).ok()?))),
        );
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(variable, container, facts, look, &own)? {
            own.insert(variable.name.clone(), value);
        }
    }
    all.extend(own);
    Ok(all)
}

/// The host name of a pod.
#[must_use]
pub(super) fn hostname(facts: &Facts<'_>) -> String {
    let given = facts.pod.spec.as_ref().and_then(|spec| spec.hostname.clone());
    let mut name = given.or_else(|| facts.pod.metadata.name.clone()).unwrap_or_default();
    // What the kernel takes.
    name.truncate(63);
    name.trim_end_matches(['-', '.']).to_owned()
}

/// Program and arguments: the container's over its image's.
#[must_use]
pub(super) fn command(container: &Container, image: &Config, environment: &BTreeMap<String, String>) -> Vec<String> {
    let given = |list: &Option<Vec<String>>| -> Vec<String> {
        list.iter().flatten().map(|text| expand(text, environment)).collect()
    };
    let (command, arguments) = (given(&container.command), given(&container.args));
    if !command.is_empty() {
        return [command, arguments].concat();
    }
    let arguments = if arguments.is_empty() {
        image.cmd.clone()
    } else {
        arguments
    };
    [image.entrypoint.clone(), arguments].concat()
}

/// Puts values for `$(NAME)`; `$$` is one dollar, and what is not defined stays.
#[must_use]
pub(super) fn expand(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, behind)) = after.strip_prefix('(').and_then(|after| after.split_once(')')) {
            match values.get(name) {
                Some(value) => out.push_str(value),
                None => out.extend(["$(", name, ")"]),
            }
            rest = behind;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Keys and values of a ConfigMap or a Secret.
#[must_use]
pub(super) fn entries(source: Source, object: &Value) -> BTreeMap<String, Vec<u8>> {
    let decode = |text: &str| {
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap_or_default()
    };
    let fields = |name: &str| object[name].as_object().into_iter().flatten();
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let plain = |name: &str| {
        fields(name)
            .filter_map(text)
            .map(|(key, value)| (key, value.into_bytes()))
            .collect()
    };
    let coded = |name: &str| {
        fields(name)
            .filter_map(text)
            .map(|(key, value)| (key, decode(&value)))
            .collect()
    };
    let (first, second): (BTreeMap<_, _>, BTreeMap<_, _>) = match source {
        Source::ConfigMap => (coded("binaryData"), plain("data")),
        Source::Secret => (coded("data"), plain("stringData")),
    };
    first.into_iter().chain(second).collect()
}

/// That an object is not there, as the kubelet says it.
#[must_use]
pub(super) fn absent(source: Source, name: &str) -> Missing {
    match source {
        Source::ConfigMap => Missing(format!("configmap {name:?} not found")),
        Source::Secret => Missing(format!("secret {name:?} not found")),
    }
}

fn value(
    variable: &EnvVar,
    container: &Container,
    facts: &Facts<'_>,
    look: Look<'_>,
    before: &BTreeMap<String, String>,
) -> Result<Option<String>, Missing> {
    if let Some(from) = &variable.value_from {
        return referred(from, container, facts, look);
    }
    Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), before)))
}

fn referred(
    from: &EnvVarSource,
    container: &Container,
    facts: &Facts<'_>,
    look: Look<'_>,
) -> Result<Option<String>, Missing> {
    if let Some(field) = &from.field_ref {
        return facts.field(&field.field_path).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return facts.resource(container, resource).map(Some);
    }
    let map = from.config_map_key_ref.as_ref();
    let map = map.map(|one| (Source::ConfigMap, &one.name, &one.key, one.optional));
    let secret = from.secret_key_ref.as_ref();
    let secret = secret.map(|one| (Source::Secret, &one.name, &one.key, one.optional));
    let Some((source, name, key, optional)) = map.or(secret) else {
        return Ok(None);
    };
    let may_lack = optional == Some(true);
    let Some(object) = look(source, name) else {
        return if may_lack { Ok(None) } else { Err(absent(source, name)) };
    };
    match entries(source, &object).remove(key) {
        Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        None if may_lack => Ok(None),
        None => {
            let kind = if source == Source::Secret {
                "Secret"
            } else {
                "ConfigMap"
            };
            let namespace = facts.pod.metadata.namespace.as_deref().unwrap_or_default();
            Err(Missing(format!("couldn't find key {key} in {kind} {namespace}/{name}")))
        }
    }
}

#[cfg(test)]
mod tests;
