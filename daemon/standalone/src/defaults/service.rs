// SPDX-License-Identifier: Apache-2.0
//! Services, and the addresses that they get.
//!
//! Invariants: no two Services have the same address; a Service keeps its own for as long as its type has one.
//! Depends on: store.

use serde_json::{Value, json};

use super::{each, inner, set};
use crate::meta;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::store::{NoAddress, Transaction};

pub(super) fn fill(
    transaction: &mut Transaction,
    resource: &'static Resource,
    old: Option<&Value>,
    service: &mut Value,
) -> Result<Vec<String>, Refusal> {
    let spec = inner(service, "spec");
    set(spec, "sessionAffinity", "None");
    set(spec, "type", "ClusterIP");
    if spec.get("sessionAffinity").is_some_and(|kind| kind == "ClientIP") {
        set(
            spec,
            "sessionAffinityConfig",
            json!({"clientIP": {"timeoutSeconds": 10_800}}),
        );
    }
    each(&mut service["spec"], "ports").for_each(port);
    check(resource, service)?;
    if service["spec"]["type"] == "ExternalName" {
        return external(resource, old, service).map(|()| Vec::new());
    }
    let spec = inner(service, "spec");
    set(spec, "internalTrafficPolicy", "Cluster");
    set(spec, "ipFamilies", json!(["IPv4"]));
    set(spec, "ipFamilyPolicy", "SingleStack");
    address(transaction, resource, old, service)?;
    let kind = service["spec"]["type"].as_str().unwrap_or_default();
    Ok(match kind {
        "ClusterIP" => Vec::new(),
        other => vec![format!(
            "spec.type: {other} is served as ClusterIP: sluice standalone opens no node ports and has no load balancers"
        )],
    })
}

fn port(port: &mut Value) {
    let number = port["port"].clone();
    if let Some(fields) = port.as_object_mut() {
        set(fields, "protocol", "TCP");
        if fields
            .get("targetPort")
            .is_some_and(|target| *target == 0 || *target == "")
        {
            fields.remove("targetPort");
        }
        set(fields, "targetPort", number);
    }
}

fn check(resource: &'static Resource, service: &Value) -> Result<(), Refusal> {
    let refuse =
        |reason, field: &str, detail: &str| Err(Refusal::invalid(resource, meta::name(service), reason, field, detail));
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let may_lack_ports = spec["type"] == "ExternalName" || spec["clusterIP"] == "None";
    if ports.is_empty() && !may_lack_ports {
        return refuse("FieldValueRequired", "spec.ports", "Required value");
    }
    for (index, port) in ports.iter().enumerate() {
        if ports.len() > 1 && port["name"].as_str().is_none_or(str::is_empty) {
            return refuse(
                "FieldValueRequired",
                &format!("spec.ports[{index}].name"),
                "Required value",
            );
        }
        if !port["port"]
            .as_i64()
            .is_some_and(|number| (1..=65_535).contains(&number))
        {
            let detail = format!(
                "Invalid value: {}: must be between 1 and 65535, inclusive",
                port["port"]
            );
            return refuse("FieldValueInvalid", &format!("spec.ports[{index}].port"), &detail);
        }
    }
    Ok(())
}

/// An ExternalName has a name and no address; the one that it had is given back.
fn external(resource: &'static Resource, old: Option<&Value>, service: &mut Value) -> Result<(), Refusal> {
    let had = old.map(|old| old["spec"].clone()).unwrap_or_default();
    let spec = inner(service, "spec");
    for field in [
        "clusterIP",
        "clusterIPs",
        "ipFamilies",
        "ipFamilyPolicy",
        "internalTrafficPolicy",
    ] {
        if spec.get(field).is_some_and(|value| had[field] == *value) {
            spec.remove(field);
        }
    }
    let name = meta::name(service);
    if service["spec"]["externalName"].as_str().is_none_or(str::is_empty) {
        let detail = "Required value";
        return Err(Refusal::invalid(
            resource,
            name,
            "FieldValueRequired",
            "spec.externalName",
            detail,
        ));
    }
    match service["spec"]["clusterIP"].as_str() {
        None | Some("") => Ok(()),
        Some(_) => {
            let detail = "Forbidden: may not be set for ExternalName services";
            Err(Refusal::invalid(
                resource,
                name,
                "FieldValueForbidden",
                "spec.clusterIPs",
                detail,
            ))
        }
    }
}

fn address(
    transaction: &mut Transaction,
    resource: &'static Resource,
    old: Option<&Value>,
    service: &mut Value,
) -> Result<(), Refusal> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let had = old.map(|old| text(&old["spec"]["clusterIP"])).unwrap_or_default();
    let mut wanted = text(&service["spec"]["clusterIP"]);
    if wanted.is_empty() {
        wanted = text(&service["spec"]["clusterIPs"][0]);
    }
    if wanted.is_empty() {
        wanted.clone_from(&had);
    }
    if !had.is_empty() && wanted != had {
        let detail = format!("Invalid value: [{wanted:?}]: may not change once set");
        let field = "spec.clusterIPs[0]";
        return Err(Refusal::invalid(
            resource,
            meta::name(service),
            "FieldValueInvalid",
            field,
            detail,
        ));
    }
    if had.is_empty() && wanted != "None" {
        wanted = transaction
            .take_address(&wanted)
            .map_err(|why| refused(resource, meta::name(service), &wanted, &why))?;
    }
    let spec = inner(service, "spec");
    spec.insert("clusterIP".to_owned(), wanted.clone().into());
    spec.insert("clusterIPs".to_owned(), json!([wanted]));
    Ok(())
}

fn refused(resource: &'static Resource, name: &str, wanted: &str, why: &NoAddress) -> Refusal {
    if *why == NoAddress::NoneLeft {
        return Refusal::internal(format!("failed to allocate a serviceIP: {why}"));
    }
    let detail = format!("Invalid value: [{wanted:?}]: failed to allocate IP {wanted}: {why}");
    Refusal::invalid(resource, name, "FieldValueInvalid", "spec.clusterIPs", detail)
}
