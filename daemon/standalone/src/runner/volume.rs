// SPDX-License-Identifier: Apache-2.0
//! The volumes of a pod as folders on the machine, and what of them a container sees where.
//!
//! Mechanism: each volume becomes a folder below the pod's; ConfigMaps, Secrets and fields are written as files when the
//! pod starts.
//! Invariants: keys and paths stay within the volume; an absent source that is not optional holds the pod back.
//! Depends on: facts, environment, plan.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, DownwardAPIVolumeFile, KeyToPath, PodSpec, Volume, VolumeProjection};

use super::environment::{absent, entries, expand};
use super::facts::{Facts, Look, Missing, Source};
use super::plan::Mount;

/// The mode of files where none is given.
const MODE: i32 = 0o644;

/// Why a volume cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum VolumeError {
    /// Something that it is made of is not there yet.
    #[error("MountVolume.SetUp failed for volume {volume:?} : {source}")]
    Missing {
        /// The volume.
        volume: String,
        /// What is not there.
        source: Missing,
    },
    /// It cannot be written.
    #[error("volume {volume:?}: {source}")]
    Disk {
        /// The volume.
        volume: String,
        /// Why not.
        source: io::Error,
    },
    /// It is of a kind that needs a cluster.
    #[error(
        "volume {0:?} is of a kind that standalone does not have: use configMap, secret, emptyDir, projected, downwardAPI or hostPath"
    )]
    Kind(String),
}

/// A file of a volume.
struct Entry {
    path: PathBuf,
    bytes: Vec<u8>,
    mode: i32,
}

/// Makes the volumes of a pod below a folder, and answers where each one is.
///
/// # Errors
/// If one cannot be made.
pub(super) fn make(
    spec: &PodSpec,
    folder: &Path,
    facts: &Facts<'_>,
    look: Look<'_>,
) -> Result<BTreeMap<String, PathBuf>, VolumeError> {
    let group = spec.security_context.as_ref().and_then(|context| context.fs_group);
    let group = group.and_then(|group| u32::try_from(group).ok());
    let mut places = BTreeMap::new();
    for volume in spec.volumes.iter().flatten() {
        if let Some(host) = &volume.host_path {
            places.insert(volume.name.clone(), PathBuf::from(&host.path));
            continue;
        }
        let place = folder.join(&volume.name);
        let files = files(volume, facts, look)?;
        let mode = if volume.empty_dir.is_some() { 0o777 } else { 0o755 };
        write(&place, mode, &files, group).map_err(|source| VolumeError::Disk {
            volume: volume.name.clone(),
            source,
        })?;
        places.insert(volume.name.clone(), place);
    }
    Ok(places)
}

/// What a container sees of the volumes.
///
/// # Errors
/// If a mount names a volume that is not there, or a path that leads out of it.
pub(super) fn mounts(
    container: &Container,
    places: &BTreeMap<String, PathBuf>,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<Mount>, Missing> {
    let mut mounts = Vec::new();
    for wanted in container.volume_mounts.iter().flatten() {
        let place = places
            .get(&wanted.name)
            .ok_or_else(|| Missing(format!("volume {:?} not found", wanted.name)))?;
        let sub = wanted
            .sub_path_expr
            .as_ref()
            .map(|text| expand(text, environment))
            .or_else(|| wanted.sub_path.clone());
        let mut source = place.clone();
        if let Some(sub) = sub.filter(|sub| !sub.is_empty()) {
            if !is_inside(Path::new(&sub)) {
                return Err(Missing(format!("subPath {sub:?} must not lead out of the volume")));
            }
            source.push(sub);
            if !source.exists() {
                fs::create_dir_all(&source).map_err(|error| Missing(format!("subPath: {error}")))?;
            }
        }
        mounts.push(Mount {
            source,
            target: PathBuf::from("/").join(&wanted.mount_path),
            read_only: wanted.read_only == Some(true),
        });
    }
    // What lies deeper is mounted later.
    mounts.sort_by_key(|mount| mount.target.components().count());
    Ok(mounts)
}

fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn files(volume: &Volume, facts: &Facts<'_>, look: Look<'_>) -> Result<Vec<Entry>, VolumeError> {
    let missing = |source| VolumeError::Missing {
        volume: volume.name.clone(),
        source,
    };
    if volume.empty_dir.is_some() {
        return Ok(Vec::new());
    }
    if let Some(map) = &volume.config_map {
        let items = Items::new(map.items.as_deref(), map.default_mode, map.optional);
        return items.of(Source::ConfigMap, &map.name, look).map_err(missing);
    }
    if let Some(secret) = &volume.secret {
        let items = Items::new(secret.items.as_deref(), secret.default_mode, secret.optional);
        let name = secret.secret_name.as_deref().unwrap_or_default();
        return items.of(Source::Secret, name, look).map_err(missing);
    }
    if let Some(downward) = &volume.downward_api {
        return fields(downward.items.as_deref(), downward.default_mode, facts).map_err(missing);
    }
    let Some(projected) = &volume.projected else {
        return Err(VolumeError::Kind(volume.name.clone()));
    };
    let mut all = Vec::new();
    for source in projected.sources.iter().flatten() {
        all.extend(projection(source, projected.default_mode, facts, look).map_err(missing)?);
    }
    Ok(all)
}

fn projection(
    source: &VolumeProjection,
    mode: Option<i32>,
    facts: &Facts<'_>,
    look: Look<'_>,
) -> Result<Vec<Entry>, Missing> {
    if let Some(map) = &source.config_map {
        return Items::new(map.items.as_deref(), mode, map.optional).of(Source::ConfigMap, &map.name, look);
    }
    if let Some(secret) = &source.secret {
        return Items::new(secret.items.as_deref(), mode, secret.optional).of(Source::Secret, &secret.name, look);
    }
    if let Some(downward) = &source.downward_api {
        return fields(downward.items.as_deref(), mode, facts);
    }
    if source.service_account_token.is_some() {
        return Err(Missing("serviceAccountToken: standalone issues no tokens".to_owned()));
    }
    Ok(Vec::new())
}

/// Which keys become which files.
struct Items<'a> {
    items: Option<&'a [KeyToPath]>,
    mode: i32,
    is_optional: bool,
}

impl<'a> Items<'a> {
    fn new(items: Option<&'a [KeyToPath]>, mode: Option<i32>, optional: Option<bool>) -> Self {
        Self {
            items: items.filter(|items| !items.is_empty()),
            mode: mode.unwrap_or(MODE),
            is_optional: optional == Some(true),
        }
    }

    fn of(&self, source: Source, name: &str, look: Look<'_>) -> Result<Vec<Entry>, Missing> {
        let Some(object) = look(source, name) else {
            return if self.is_optional {
                Ok(Vec::new())
            } else {
                Err(absent(source, name))
            };
        };
        let mut entries = entries(source, &object);
        let mut files = Vec::new();
        let Some(items) = self.items else {
            for (key, bytes) in entries {
                files.push(entry(&key, bytes, self.mode)?);
            }
            return Ok(files);
        };
        for item in items {
            match entries.remove(&item.key) {
                Some(bytes) => files.push(entry(&item.path, bytes, item.mode.unwrap_or(self.mode))?),
                None if self.is_optional => {}
                None => return Err(Missing(format!("references non-existent config key: {}", item.key))),
            }
        }
        Ok(files)
    }
}

fn fields(
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: Option<i32>,
    facts: &Facts<'_>,
) -> Result<Vec<Entry>, Missing> {
    let mut files = Vec::new();
    for item in items.unwrap_or_default() {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => facts.field(&field.field_path)?,
            (None, Some(resource)) => facts.resource(&Container::default(), resource)?,
            (None, None) => String::new(),
        };
        let mode = item.mode.or(mode).unwrap_or(MODE);
        files.push(entry(&item.path, text.into_bytes(), mode)?);
    }
    Ok(files)
}

fn entry(path: &str, bytes: Vec<u8>, mode: i32) -> Result<Entry, Missing> {
    if path.is_empty() || !is_inside(Path::new(path)) {
        return Err(Missing(format!("the path {path:?} must stay in the volume")));
    }
    Ok(Entry {
        path: PathBuf::from(path),
        bytes,
        mode,
    })
}

fn write(place: &Path, mode: u32, files: &[Entry], group: Option<u32>) -> io::Result<()> {
    fs::create_dir_all(place)?;
    let own = |path: &Path, mode: u32| -> io::Result<()> {
        if group.is_some() {
            chown(path, None, group)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    own(place, if group.is_some() { mode | 0o2070 } else { mode })?;
    for file in files {
        let path = place.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.bytes)?;
        let readable = if group.is_some() { 0o040 } else { 0 };
        own(&path, (file.mode.unsigned_abs() & 0o7777) | readable)?;
    }
    Ok(())
}
