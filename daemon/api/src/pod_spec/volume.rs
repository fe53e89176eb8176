// SPDX-License-Identifier: Apache-2.0
//! The volumes of a pod: control-plane spec 2.4.
//!
//! Depends on: allowed.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIVolumeFile, EmptyDirVolumeSource, ImageVolumeSource, KeyToPath,
    PersistentVolumeClaimVolumeSource, SecretProjection, Volume, VolumeProjection,
};
use logic::go::print::quoted;
use logic::quantity::Quantity;
use logic::settings::{Features, Flag};

use super::allowed;
use crate::field_error::FieldErrors;
use logic::syntax;

/// The volumes of a pod, by name; the last of a name counts.
pub(super) struct Volumes<'a> {
    listed: &'a [Volume],
    by_name: BTreeMap<&'a str, &'a Volume>,
}

impl<'a> Volumes<'a> {
    pub(super) fn of(listed: &'a [Volume]) -> Self {
        let by_name = listed.iter().map(|volume| (volume.name.as_str(), volume)).collect();
        Self { listed, by_name }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Volume> {
        self.by_name.get(name).copied()
    }
}

pub(super) fn all(volumes: &Volumes, mounted: &BTreeSet<&str>, features: &Features) -> FieldErrors {
    let mut seen = BTreeSet::new();
    let mut errors = FieldErrors::none();
    for (index, volume) in volumes.listed.iter().enumerate() {
        let name = volume.name.as_str();
        let mut found = FieldErrors::none();
        if !seen.insert(name) {
            found.add(FieldErrors::generic(
                format!("duplicate volume name {}", quoted(name)),
                "name",
            ));
        }
        if !mounted.contains(name) {
            found.add(FieldErrors::generic(
                format!("volume with name {} not mounted", quoted(name)),
                "name",
            ));
        }
        errors.add(found.also(validate(volume, features)).via_index(index));
    }
    errors
}

fn validate(volume: &Volume, features: &Features) -> FieldErrors {
    // A wrong name hides what is wrong with the features (spec 2.2, quirks of paths).
    let mut errors = if volume.name.is_empty() {
        FieldErrors::missing(["name"])
    } else if !syntax::dns1123_label(&volume.name).is_empty() {
        FieldErrors::invalid_value(&volume.name, "name")
    } else {
        switched_off(volume, features)
    };
    errors.add(allowed::volume(volume, features));
    let specified: Vec<_> = SOURCES
        .iter()
        .filter(|row| (row.is_set)(volume))
        .map(|row| row.field)
        .collect();
    for source in &specified {
        errors.add(source_fields(source, volume, features));
    }
    errors.add(match specified.len() {
        0 => FieldErrors::missing_one_of(
            SOURCES
                .iter()
                .filter(|row| row.flag.is_none_or(|flag| flag(features).is_enabled()))
                .map(|row| row.field),
        ),
        1 => FieldErrors::none(),
        _ => FieldErrors::multiple_one_of(specified),
    });
    errors
}

/// A kind of volume that Knative may take.
struct Source {
    field: &'static str,
    is_set: fn(&Volume) -> bool,
    /// The feature that it needs, if any.
    flag: Option<fn(&Features) -> Flag>,
    /// Its name in the sentence that says it is switched off.
    title: &'static str,
}

const SOURCES: &[Source] = &[
    Source {
        field: "secret",
        is_set: |volume| volume.secret.is_some(),
        flag: None,
        title: "",
    },
    Source {
        field: "configMap",
        is_set: |volume| volume.config_map.is_some(),
        flag: None,
        title: "",
    },
    Source {
        field: "projected",
        is_set: |volume| volume.projected.is_some(),
        flag: None,
        title: "",
    },
    Source {
        field: "emptyDir",
        is_set: |volume| volume.empty_dir.is_some(),
        flag: Some(|features| features.podspec_volumes_emptydir),
        title: "EmptyDir",
    },
    Source {
        field: "persistentVolumeClaim",
        is_set: |volume| volume.persistent_volume_claim.is_some(),
        flag: Some(|features| features.podspec_persistent_volume_claim),
        title: "",
    },
    Source {
        field: "hostPath",
        is_set: |volume| volume.host_path.is_some(),
        flag: Some(|features| features.podspec_volumes_hostpath),
        title: "HostPath",
    },
    Source {
        field: "csi",
        is_set: |volume| volume.csi.is_some(),
        flag: Some(|features| features.podspec_volumes_csi),
        title: "CSI",
    },
    Source {
        field: "ephemeral",
        is_set: |volume| volume.ephemeral.is_some(),
        flag: Some(|features| features.podspec_volumes_ephemeral),
        title: "Ephemeral",
    },
    Source {
        field: "image",
        is_set: |volume| volume.image.is_some(),
        flag: Some(|features| features.podspec_volumes_image),
        title: "Image",
    },
];

/// Sources whose feature is not `Enabled`.
fn switched_off(volume: &Volume, features: &Features) -> FieldErrors {
    let claim = volume.persistent_volume_claim.as_ref();
    let mut errors = claim.map_or_else(FieldErrors::none, |claim| self::claim(claim, features));
    for row in SOURCES
        .iter()
        .filter(|row| !row.title.is_empty() && (row.is_set)(volume))
    {
        if row.flag.is_some_and(|flag| !flag(features).is_enabled()) {
            let title = row.title;
            errors.add(FieldErrors::nowhere(format!(
                "{title} volume support is disabled, but found {title} volume {}",
                volume.name
            )));
        }
    }
    errors
}

fn claim(claim: &PersistentVolumeClaimVolumeSource, features: &Features) -> FieldErrors {
    let name = &claim.claim_name;
    let mut errors = FieldErrors::none();
    if !features.podspec_persistent_volume_claim.is_enabled() {
        errors.add(FieldErrors::nowhere(format!(
            "Persistent volume claim support is disabled, but found persistent volume claim {name}"
        )));
    }
    if claim.read_only != Some(true) && !features.podspec_persistent_volume_write.is_enabled() {
        errors.add(FieldErrors::nowhere(format!(
            "Persistent volume write support is disabled, but found persistent volume claim {name} that is not read-only"
        )));
    }
    errors
}

/// The rules inside of one source; `items` of a secret and a config map are reported at the volume itself.
fn source_fields(source: &str, volume: &Volume, features: &Features) -> FieldErrors {
    match source {
        "secret" => items(volume.secret.as_ref().and_then(|secret| secret.items.as_deref())),
        "configMap" => items(volume.config_map.as_ref().and_then(|map| map.items.as_deref())),
        "projected" => {
            let sources = volume
                .projected
                .iter()
                .flat_map(|projected| projected.sources.iter().flatten());
            let mut errors = FieldErrors::none();
            for (index, projection) in sources.enumerate() {
                errors.add(self::projection(projection, features).via_field_index("projected", index));
            }
            errors
        }
        "emptyDir" => volume
            .empty_dir
            .as_ref()
            .map_or_else(FieldErrors::none, empty_dir)
            .via_field("emptyDir"),
        "image" => volume
            .image
            .as_ref()
            .map_or_else(FieldErrors::none, image)
            .via_field("image"),
        _ => FieldErrors::none(),
    }
}

fn empty_dir(dir: &EmptyDirVolumeSource) -> FieldErrors {
    let mut errors = FieldErrors::none();
    let medium = dir.medium.as_deref().unwrap_or_default();
    if !matches!(medium, "" | "Memory") {
        errors.add(FieldErrors::invalid_value(medium, "medium"));
    }
    if let Some(limit) = &dir.size_limit
        && Quantity::parse(&limit.0).is_ok_and(|limit| limit.is_negative())
    {
        errors.add(FieldErrors::invalid_value(&limit.0, "sizeLimit"));
    }
    errors
}

fn image(image: &ImageVolumeSource) -> FieldErrors {
    let mut errors = FieldErrors::none();
    if image.reference.as_deref().unwrap_or_default().is_empty() {
        errors.add(FieldErrors::missing(["reference"]));
    }
    let policy = image.pull_policy.as_deref().unwrap_or_default();
    if !matches!(policy, "" | "Always" | "Never" | "IfNotPresent") {
        errors.add(FieldErrors::invalid_value(policy, "pullPolicy"));
    }
    errors
}

fn projection(projection: &VolumeProjection, features: &Features) -> FieldErrors {
    let mut errors = allowed::projection(projection, features);
    let mut specified = Vec::new();
    if let Some(SecretProjection { name, items, .. }) = &projection.secret {
        specified.push("secret");
        errors.add(named_items(name, items.as_deref()).via_field("secret"));
    }
    if let Some(ConfigMapProjection { name, items, .. }) = &projection.config_map {
        specified.push("configMap");
        errors.add(named_items(name, items.as_deref()).via_field("configMap"));
    }
    if let Some(token) = &projection.service_account_token {
        specified.push("serviceAccountToken");
        if token.path.is_empty() {
            errors.add(FieldErrors::missing(["path"]).via_field("serviceAccountToken"));
        }
    }
    if let Some(downward) = &projection.downward_api {
        specified.push("downwardAPI");
        for (index, file) in downward.items.iter().flatten().enumerate() {
            errors.add(
                downward_file(file)
                    .via_field_index("items", index)
                    .via_field("downwardAPI"),
            );
        }
    }
    errors.add(match specified.len() {
        0 => FieldErrors::missing_one_of(["secret", "configMap", "serviceAccountToken", "downwardAPI"]),
        1 => FieldErrors::none(),
        _ => FieldErrors::multiple_one_of(specified),
    });
    errors
}

fn named_items(name: &str, items: Option<&[KeyToPath]>) -> FieldErrors {
    let errors = self::items(items);
    match name {
        "" => errors.also(FieldErrors::missing(["name"])),
        _ => errors,
    }
}

fn items(items: Option<&[KeyToPath]>) -> FieldErrors {
    let mut errors = FieldErrors::none();
    for (index, item) in items.unwrap_or_default().iter().enumerate() {
        let missing = [("key", &item.key), ("path", &item.path)];
        let missing = missing.into_iter().filter(|(_, value)| value.is_empty());
        for (field, _) in missing {
            errors.add(FieldErrors::missing([field]).via_field_index("items", index));
        }
    }
    errors
}

fn downward_file(file: &DownwardAPIVolumeFile) -> FieldErrors {
    let mut errors = match (&file.field_ref, &file.resource_field_ref) {
        (None, None) => FieldErrors::missing_one_of(["fieldRef", "resourceFieldRef"]),
        (Some(_), Some(_)) => FieldErrors::at(
            "Within a single item, cannot set both".to_owned(),
            ["resourceFieldRef", "fieldRef"],
        ),
        _ => FieldErrors::none(),
    };
    if file.path.is_empty() {
        errors.add(FieldErrors::missing(["path"]));
    }
    errors
}
