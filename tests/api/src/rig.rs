// SPDX-License-Identifier: Apache-2.0
//! A cluster that somebody brought up, and places in it.
//!
//! Mechanism: kubectl of the server's own version, since that is what users have; a [`Place`] is a namespace.
//! Invariants: the environment is read here only. `ca.crt`, `webhook.crt` and `webhook.key` in the folder are for a
//! webhook that a case serves on the loopback.
//! Depends on: kubectl; SLUICE_CLUSTER (folder with kubeconfig and certificates), SLUICE_KUBECTL, SLUICE_TESTDATA.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use api::kind::Kind;
use serde_json::{Value, json};

/// How long a kind may take from established to discovered.
const DISCOVERY: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// A cluster.
pub(crate) struct Cluster {
    folder: PathBuf,
    kubectl: PathBuf,
}

/// A namespace of one case.
pub(crate) struct Place<'a> {
    cluster: &'a Cluster,
    namespace: String,
}

/// Whether nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// The folder of the test data: beside the repository, unless the environment says where.
pub(crate) fn test_data() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata");
    std::env::var_os("SLUICE_TESTDATA").map_or_else(beside, PathBuf::from)
}

impl Cluster {
    /// The cluster that `cargo xtask test api` brought up.
    pub(crate) fn named_by_environment() -> Result<Self> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        Ok(Self {
            folder: path("SLUICE_CLUSTER").context("SLUICE_CLUSTER names no cluster")?,
            kubectl: path("SLUICE_KUBECTL").context("SLUICE_KUBECTL names no kubectl")?,
        })
    }

    /// Its folder and kubectl.
    pub(crate) fn paths(&self) -> (PathBuf, PathBuf) {
        (self.folder.clone(), self.kubectl.clone())
    }

    /// Applies deploy/crds and waits until they are served.
    pub(crate) fn define_kinds(&self) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
        let folder = folder.display().to_string();
        self.kubectl(&["apply", "--server-side", "-f", &folder], None)?;
        let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
        self.kubectl(&wait, None)?;
        let limit = Instant::now() + DISCOVERY;
        while let Some(missing) = self.undiscovered()? {
            ensure!(Instant::now() < limit, "{missing} is established, but not discovered");
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// A kind that the server does not list yet: it does so a little after it has established it.
    fn undiscovered(&self) -> Result<Option<String>> {
        let listed = self.kubectl(&["api-resources", "-o", "name"], None)?;
        let names = Kind::ALL.map(|kind| format!("{}.{}", kind.plural(), kind.group()));
        Ok(names.into_iter().find(|name| !listed.lines().any(|line| line == name)))
    }

    /// Makes a namespace after a case's name.
    pub(crate) fn place(&self, case: &str) -> Result<Place<'_>> {
        let namespace: String = case.replace('_', "-").chars().take(63).collect();
        let namespace = namespace.trim_end_matches('-').to_owned();
        self.kubectl(&["create", "namespace", &namespace], None)?;
        Ok(Place {
            cluster: self,
            namespace,
        })
    }

    fn kubectl(&self, arguments: &[&str], input: Option<&Value>) -> Result<String> {
        let mut child = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(self.folder.join("kubeconfig"))
            .arg("--cache-dir")
            .arg(self.folder.join("discovered"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("kubectl does not start")?;
        let mut stdin = child.stdin.take().context("invariant: standard input is piped")?;
        if let Some(input) = input {
            stdin.write_all(input.to_string().as_bytes())?;
        }
        drop(stdin);
        let output = child.wait_with_output().context("waiting for kubectl")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Place<'_> {
    /// Where the certificates of the cluster are: `ca`, `webhook`, each `.crt` and `.key`.
    pub(crate) fn certificates(&self) -> &Path {
        &self.cluster.folder
    }

    /// Applies an object that belongs to no namespace.
    pub(crate) fn apply(&self, object: &Value) -> Result<()> {
        self.cluster.kubectl(&["apply", "-f", "-"], Some(object)).map(drop)
    }

    /// Its name.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Runs kubectl in the namespace; the error is what it said.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let arguments = [&["--namespace", self.namespace.as_str()], arguments].concat();
        self.cluster.kubectl(&arguments, None)
    }

    /// Creates an object, with what the schema does not know being an error; the answer is what is stored.
    pub(crate) fn create(&self, object: &Value) -> Result<Value> {
        self.send(&["create", "--validate=strict", "-f", "-", "-o", "json"], object)
    }

    /// As [`Place::create`], but what the schema does not know is dropped.
    pub(crate) fn create_leniently(&self, object: &Value) -> Result<Value> {
        self.send(&["create", "--validate=ignore", "-f", "-", "-o", "json"], object)
    }

    /// What the server says instead of creating the object.
    pub(crate) fn refusal(&self, object: &Value) -> Result<String> {
        match self.create_leniently(object) {
            Ok(stored) => bail!("it was created: {stored}"),
            Err(refused) => Ok(refused.to_string()),
        }
    }

    /// Replaces the status of an object.
    pub(crate) fn replace_status(&self, object: &Value) -> Result<Value> {
        self.send(
            &[
                "replace",
                "--subresource=status",
                "--validate=strict",
                "-f",
                "-",
                "-o",
                "json",
            ],
            object,
        )
    }

    /// Merges a change into an object, or into its status only.
    pub(crate) fn patch(&self, kind: Kind, name: &str, change: &Value, of_status: bool) -> Result<Value> {
        let (resource, change) = (resource(kind), change.to_string());
        let mut arguments = vec!["patch", &resource, name, "--type=merge", "-o", "json", "-p", &change];
        if of_status {
            arguments.push("--subresource=status");
        }
        Ok(serde_json::from_str(&self.kubectl(&arguments)?)?)
    }

    /// An object.
    pub(crate) fn get(&self, kind: Kind, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&[
            "get",
            &resource(kind),
            name,
            "-o",
            "json",
        ])?)?)
    }

    /// What the server answers at a path.
    pub(crate) fn raw(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.cluster.kubectl(&["get", "--raw", path], None)?,
        )?)
    }

    fn send(&self, arguments: &[&str], object: &Value) -> Result<Value> {
        let arguments = [&["--namespace", self.namespace.as_str()], arguments].concat();
        Ok(serde_json::from_str(&self.cluster.kubectl(&arguments, Some(object))?)?)
    }
}

/// A kind as kubectl takes it, whatever other groups have kinds of that name.
pub(crate) fn resource(kind: Kind) -> String {
    format!("{}.{}.{}", kind.plural(), kind.version(), kind.group())
}

/// An object of a kind with a spec.
pub(crate) fn object(kind: Kind, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name(),
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// An error that shows both if they differ.
pub(crate) fn check_equal(what: &str, found: &Value, expected: &Value) -> Result<()> {
    ensure!(found == expected, "{what}:\n   found {found}\nexpected {expected}");
    Ok(())
}
