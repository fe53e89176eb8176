// SPDX-License-Identifier: Apache-2.0
//! What the containers of a pod share, and how a container's plan is made from it.
//!
//! Invariants: a plan is made anew for every attempt: ConfigMaps and Secrets of the environment are those of the moment.
//! Depends on: settings, image, environment, volume, cgroup, objects.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::cgroup::{Cgroups, Enforced, Limits};
use super::drain::Drain;
use super::environment;
use super::facts::{Facts, Source};
use super::image::{Files, Image, Images};
use super::objects::{Identity, Objects};
use super::plan::{self, Mount, Plan, Root, User};
use super::quantity;
use super::settings::Settings;
use super::slot::{Holder, Slot};
use super::volume;

/// What the containers of a pod share.
#[derive(Debug)]
pub(super) struct Site {
    /// The runner's settings.
    pub settings: Arc<Settings>,
    /// The runner's hand in the API.
    pub objects: Objects,
    /// The runner's images.
    pub images: Images,
    /// When its requests have ended.
    pub drain: Arc<dyn Drain>,
    /// All pods' cgroups.
    pub cgroups: Cgroups,
    /// Which pod.
    pub identity: Identity,
    /// The pod.
    pub pod: Pod,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Where its volumes are.
    pub volumes: BTreeMap<String, PathBuf>,
    /// Its place.
    pub slot: Mutex<Slot>,
}

/// Why a container waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    /// As Kubernetes calls it.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Hold {
    fn config(message: impl ToString) -> Self {
        Self {
            reason: "CreateContainerConfigError",
            message: message.to_string(),
        }
    }

    pub(super) fn create(message: impl ToString) -> Self {
        Self {
            reason: "CreateContainerError",
            message: message.to_string(),
        }
    }
}

impl Site {
    /// The pod's spec.
    #[must_use]
    pub(super) fn spec(&self) -> &PodSpec {
        static NONE: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
        self.pod.spec.as_ref().unwrap_or(&NONE)
    }

    /// The pod's folder.
    #[must_use]
    pub(super) fn folder(&self) -> PathBuf {
        self.settings.pod(&self.identity.uid)
    }

    /// The folder of a container's attempts.
    #[must_use]
    pub(super) fn attempts(&self, container: &str) -> PathBuf {
        self.folder().join("containers").join(container)
    }

    /// How long the pod may take to end.
    #[must_use]
    pub(super) fn grace(&self) -> Duration {
        let seconds = self.spec().termination_grace_period_seconds.unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    /// A container's cgroup.
    #[must_use]
    pub(super) fn cgroup(&self, index: usize) -> PathBuf {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.cgroup.join(index.to_string())
    }

    /// A process that waits for a container's plan.
    ///
    /// # Errors
    /// If none can be started.
    pub(super) fn holder(&self, index: usize) -> io::Result<Holder> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).holder(index)
    }

    /// The image of a container, unpacked.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn image(&self, container: &Container) -> Result<Image, Hold> {
        let name = container.image.clone().unwrap_or_default();
        if let Some(image) = self.images.known(&name) {
            return Ok(image);
        }
        let images = self.images.clone();
        let opened = tokio::task::spawn_blocking(move || images.open(&name)).await;
        let said = |message: String| Hold {
            reason: "ErrImagePull",
            message,
        };
        opened
            .map_err(|error| said(error.to_string()))?
            .map_err(|error| said(error.to_string()))
    }

    /// The plan of an attempt, and what of its limits is not enforced.
    ///
    /// # Errors
    /// What is not there.
    pub(super) fn plan(
        &self,
        container: &Container,
        index: usize,
        attempt: u32,
        image: &Image,
    ) -> Result<(Plan, Enforced), Hold> {
        let facts = Facts {
            pod: &self.pod,
            ip: self.ip,
            host: self.settings.range.host(),
        };
        let look = |source: Source, name: &str| self.objects.look(&self.identity.namespace, source, name);
        let environment = environment::environment(container, &facts, &image.config, &look).map_err(Hold::config)?;
        let mut mounts = volume::mounts(container, &self.volumes, &environment).map_err(Hold::config)?;
        let folder = self.attempts(&container.name).join(attempt.to_string());
        fs::create_dir_all(&folder).map_err(Hold::create)?;
        let context = container.security_context.as_ref();
        let read_only = context.and_then(|context| context.read_only_root_filesystem) == Some(true);
        let root = root(&image.files, &mounts, &folder, read_only);
        mounts.extend(self.own_mounts(container, &root, &folder)?);
        let enforced = {
            let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner).name();
            self.cgroups.limit(&slot, &index.to_string(), limits(container))
        };
        let working = container.working_dir.clone().filter(|path| !path.is_empty());
        let working = working.or_else(|| Some(image.config.working_dir.clone()).filter(|path| !path.is_empty()));
        let plan = Plan {
            log: folder.join("log"),
            log_bytes: self.settings.log_bytes,
            root,
            read_only,
            mounts,
            hostname: environment::hostname(&facts),
            command: environment::command(container, &image.config, &environment),
            environment: environment.into_iter().collect(),
            folder: working.map(PathBuf::from),
            user: user(self.spec(), container, &image.config.user),
            join: enforced.join.clone(),
            oom: enforced.oom.clone(),
            attempt: folder,
        };
        Ok((plan, enforced))
    }

    /// Names, name servers and a place for last words.
    fn own_mounts(&self, container: &Container, root: &Root, folder: &Path) -> Result<Vec<Mount>, Hold> {
        let of = |source: PathBuf, target: &str| Mount {
            source,
            target: PathBuf::from(target),
            read_only: false,
        };
        let etc = self.folder().join("etc");
        let mut mounts = Vec::new();
        for name in ["hosts", "resolv.conf", "hostname"] {
            let target = format!("/etc/{name}");
            if *root != Root::Machine || Path::new(&target).exists() {
                mounts.push(of(etc.join(name), &target));
            }
        }
        if matches!(root, Root::Layers { is_machine: false, .. }) {
            let words = folder.join(plan::LAST_WORDS);
            fs::write(&words, "").map_err(Hold::create)?;
            // Whoever the container runs as.
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            fs::set_permissions(&words, open).map_err(Hold::create)?;
            let path = container
                .termination_message_path
                .as_deref()
                .unwrap_or("/dev/termination-log");
            mounts.push(of(words, path));
        }
        Ok(mounts)
    }
}

/// An executable sees the machine's own files; where it needs a place that is not there, or may not write, through a layer.
fn root(files: &Files, mounts: &[Mount], folder: &Path, read_only: bool) -> Root {
    let upper = folder.join("root");
    match files {
        Files::Machine if !read_only && mounts.iter().all(|mount| mount.target.exists()) => Root::Machine,
        Files::Machine => Root::Layers {
            base: PathBuf::from("/"),
            lower: vec![".".to_owned()],
            upper,
            is_machine: true,
        },
        Files::Layers { base, names } => Root::Layers {
            base: base.clone(),
            lower: names.clone(),
            upper,
            is_machine: false,
        },
    }
}

fn limits(container: &Container) -> Limits {
    let limits = container
        .resources
        .as_ref()
        .and_then(|resources| resources.limits.as_ref());
    let thousandths = |name: &str| limits.and_then(|limits| quantity::thousandths(&limits.get(name)?.0));
    let whole = |value: u128| u64::try_from(value).ok().filter(|value| *value > 0);
    Limits {
        memory: thousandths("memory").and_then(|value| whole(value / 1000)),
        cpu: thousandths("cpu").and_then(whole),
    }
}

fn user(spec: &PodSpec, container: &Container, image: &str) -> User {
    let pod = spec.security_context.as_ref();
    let own = container.security_context.as_ref();
    let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
    let capabilities = own.and_then(|own| own.capabilities.as_ref());
    let list = |list: Option<&Vec<String>>| list.cloned().unwrap_or_default();
    let groups = pod
        .and_then(|pod| pod.supplemental_groups.as_ref())
        .into_iter()
        .flatten()
        .copied();
    let groups = groups.chain(pod.and_then(|pod| pod.fs_group));
    User {
        image: image.to_owned(),
        uid: number(
            own.and_then(|own| own.run_as_user)
                .or(pod.and_then(|pod| pod.run_as_user)),
        ),
        gid: number(
            own.and_then(|own| own.run_as_group)
                .or(pod.and_then(|pod| pod.run_as_group)),
        ),
        groups: groups.filter_map(|group| u32::try_from(group).ok()).collect(),
        must_not_be_root: own
            .and_then(|own| own.run_as_non_root)
            .or(pod.and_then(|pod| pod.run_as_non_root))
            == Some(true),
        add: list(capabilities.and_then(|capabilities| capabilities.add.as_ref())),
        drop: list(capabilities.and_then(|capabilities| capabilities.drop.as_ref())),
        privileged: own.and_then(|own| own.privileged) == Some(true),
        no_new_privileges: own.and_then(|own| own.allow_privilege_escalation) == Some(false),
    }
}
