// SPDX-License-Identifier: Apache-2.0
//! Where a container mounts volumes: control-plane spec 2.4.
//!
//! Depends on: allowed, volume.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use logic::go::print::quoted;
use logic::settings::Features;

use super::allowed;
use super::volume::Volumes;
use crate::field_error::FieldErrors;

const RESERVED_PATHS: [&str; 3] = ["/", "/dev", "/dev/log"];

pub(super) fn all(mounts: &[VolumeMount], volumes: &Volumes, features: &Features) -> FieldErrors {
    let mut paths = BTreeSet::new();
    let mut errors = FieldErrors::none();
    for (index, mount) in mounts.iter().enumerate() {
        let volume = volumes.get(&mount.name);
        let mut found = allowed::volume_mount(mount, features);
        if volume.is_none() {
            found.add(FieldErrors::generic("volumeMount has no matching volume", "name"));
        }
        let clean = cleaned(&mount.mount_path);
        found.add(path(&mount.mount_path, &clean, &paths));
        paths.insert(clean);
        found.add(read_only(mount, volume));
        errors.add(found.via_index(index));
        errors.add(propagation(mount, features, index));
    }
    errors
}

fn path(path: &str, clean: &str, taken: &BTreeSet<String>) -> FieldErrors {
    if path.is_empty() {
        FieldErrors::missing(["mountPath"])
    } else if RESERVED_PATHS.contains(&clean) {
        FieldErrors::generic(format!("mountPath {} is a reserved path", quoted(clean)), "mountPath")
    } else if !path.starts_with('/') {
        FieldErrors::invalid_value(path, "mountPath")
    } else if taken.contains(clean) {
        FieldErrors::invalid_value(format!("{} must be unique", quoted(path)), "mountPath")
    } else {
        FieldErrors::none()
    }
}

/// What is not made for writing must be mounted for reading.
fn read_only(mount: &VolumeMount, volume: Option<&Volume>) -> FieldErrors {
    if mount.read_only == Some(true) {
        return FieldErrors::none();
    }
    let claim = volume.and_then(|volume| volume.persistent_volume_claim.as_ref());
    if claim.is_some_and(|claim| claim.read_only == Some(true)) {
        return FieldErrors::generic("volume is readOnly but volume mount is not", "readOnly");
    }
    match volume.is_some_and(is_writable) {
        true => FieldErrors::none(),
        false => FieldErrors::generic("volume mount should be readOnly for this type of volume", "readOnly"),
    }
}

/// Whether a volume can be written to: defaulting makes every other mount read-only (spec 3, step 6).
pub(crate) fn is_writable(volume: &Volume) -> bool {
    volume.empty_dir.is_some() || volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some()
}

fn propagation(mount: &VolumeMount, features: &Features, index: usize) -> FieldErrors {
    let Some(propagation) = mount.mount_propagation.as_deref() else {
        return FieldErrors::none();
    };
    let mut errors = FieldErrors::none();
    if !features.podspec_volumes_mount_propagation.is_enabled() {
        errors.add(FieldErrors::nowhere(format!(
            "Volume Mount Propagation support is disabled, but found volume mount {} with mount propagation",
            mount.name
        )));
    }
    if !matches!(propagation, "None" | "HostToContainer") {
        let words = "mount propagation should be set to None or HostToContainer";
        errors.add(FieldErrors::generic(words, "mountPropagation").via_index(index));
    }
    errors
}

/// The shortest path that means the same, without a look at any file: as Go's `path.Clean`.
fn cleaned(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            ("..", _) if is_absolute => {}
            _ => parts.push(part),
        }
    }
    match (is_absolute, parts.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, clean) in [
            ("/a//b/./c/..", "/a/b"),
            ("/../a", "/a"),
            ("", "."),
            ("a/../..", ".."),
            ("/dev/", "/dev"),
        ] {
            assert_eq!(cleaned(path), clean, "{path}");
        }
    }
}
