// SPDX-License-Identifier: Apache-2.0
//! What people type into kubectl, against `sluice standalone`: by a kubectl of today and by Debian's, years older.
//!
//! `SLUICE_KUBECTL` and `SLUICE_OLD_KUBECTL` name them; `cargo xtask test root` has both.

use crate::place::{Instance, PATIENCE, Place, executable, service, within};
use crate::rig::is_required;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// kubectl, and the place of the instance that it talks to.
struct Kubectl {
    program: PathBuf,
    place: Place,
    manifest: PathBuf,
    editor: PathBuf,
}

impl Kubectl {
    #[expect(clippy::disallowed_methods, reason = "tests are told by the environment")]
    fn named_by(variable: &str) -> Option<Self> {
        let Some(program) = std::env::var_os(variable) else {
            assert!(!is_required(), "required, but {variable} names no kubectl");
            println!("skipped: {variable} names no kubectl: `cargo xtask test root` has one");
            return None;
        };
        let place = Place::new()?;
        let manifest = place.folder.join("hello.yaml");
        fs::write(&manifest, service("hello", "note: kept")).unwrap();
        let script = "#!/bin/sh\nsed -i 's/value: hello/value: edited/' \"$1\"\n";
        let editor = executable(&place.folder, "editor", script);
        Some(Self {
            program: program.into(),
            place,
            manifest,
            editor,
        })
    }

    /// What a command prints that does what it should. Words are split at spaces; `FILE` stands for the manifest.
    fn says(&self, words: &str, expected: &str) -> String {
        self.ends(true, words, expected)
    }

    /// What is not there at once.
    fn comes_to_say(&self, words: &str, expected: &str) {
        let mut last = String::new();
        let is_there = within(PATIENCE, || {
            last = self.run(words).1;
            last.contains(expected)
        });
        assert!(is_there, "kubectl {words} lacks {expected:?}:\n{last}");
    }

    /// What one prints that is refused.
    fn refuses(&self, words: &str, expected: &str) -> String {
        self.ends(false, words, expected)
    }

    fn ends(&self, well: bool, words: &str, expected: &str) -> String {
        let (is_well, said) = self.run(words);
        assert!(said.contains(expected), "kubectl {words} lacks {expected:?}:\n{said}");
        assert_eq!(is_well, well, "kubectl {words}: its end\n{said}");
        said
    }

    /// Whether it ends well, and all that it said.
    fn run(&self, words: &str) -> (bool, String) {
        let mut kubectl = Command::new("timeout");
        kubectl.arg("60").arg(&self.program);
        kubectl
            .arg("--kubeconfig")
            .arg(self.place.folder.join("run/kubeconfig"));
        for word in words.split(' ') {
            match word {
                "FILE" => kubectl.arg(&self.manifest),
                word => kubectl.arg(word),
            };
        }
        kubectl.env("HOME", &self.place.folder).env("KUBE_EDITOR", &self.editor);
        let ended = kubectl.output().unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        (ended.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn pod(&self, instance: &Instance) -> String {
        let pods = instance.list("/api/v1/namespaces/default/pods").into_iter();
        let newest = pods.max_by_key(|pod| pod["metadata"]["name"].to_string());
        let pod = newest.unwrap_or_else(|| panic!("{} has no pod", self.place.folder.display()));
        pod["metadata"]["name"].as_str().unwrap().to_owned()
    }

    fn does_what_people_type(self) {
        let instance = self.place.start(&service("other", ""), &[]);
        let ready = "wait --for=condition=Ready ksvc/hello --timeout=40s";
        self.says("apply -f FILE", "service.serving.knative.dev/hello created");
        self.says(ready, "condition met");
        // kubectl sends whole lists of kinds that are not Kubernetes' own; nothing comes of it.
        self.says("apply -f FILE", "service.serving.knative.dev/hello configured");
        self.says(
            "get ksvc",
            "hello   http://hello.default.localhost   hello-00001     hello-00001   True",
        );
        self.says("describe ksvc hello", "Created Configuration \"hello\"");
        self.says("edit ksvc hello", "service.serving.knative.dev/hello edited");
        self.says(
            "wait --for=condition=Ready revision/hello-00002 --timeout=40s",
            "condition met",
        );
        self.says(ready, "condition met");
        assert!(instance.get("hello.default.localhost", "/").1.contains("edited"));
        self.says(
            "patch ksvc hello --type=merge -p {\"metadata\":{\"labels\":{\"a\":\"b\"}}}",
            "hello patched",
        );
        self.says("get ksvc -l a=b -o name", "service.serving.knative.dev/hello");
        let remove = "patch ksvc hello --type=json -p [{\"op\":\"remove\",\"path\":\"/metadata/labels/a\"}]";
        self.says(remove, "hello patched");
        self.refuses("create -f FILE", "(AlreadyExists)");
        let pod = self.pod(&instance);
        self.comes_to_say(&format!("logs {pod} --tail=1"), "listening on http://");
        self.refuses(&format!("exec {pod} -- true"), "the subresource pods/exec");
        self.says("delete -f FILE", "\"hello\" deleted");
        self.refuses("get ksvc hello", "services.serving.knative.dev \"hello\" not found");

        self.says(
            "create deployment d --image=sluice.dev/sample",
            "deployment.apps/d created",
        );
        self.says("scale deployment d --replicas=2", "deployment.apps/d scaled");
        self.says("rollout status deployment d --timeout=40s", "successfully rolled out");
        self.says(
            "wait --for=condition=Available deployment/d --timeout=40s",
            "condition met",
        );
        let strategic = "patch deployment d -p {\"spec\":{\"replicas\":0}}";
        self.says(strategic, "deployment.apps/d patched");
        self.says("delete deployment d", "\"d\" deleted");
        self.says("apply --server-side -f FILE", "hello serverside-applied");
        self.says("delete ksvc --all", "\"hello\" deleted");
        instance.end();
        self.place.assert_nothing_left();
    }
}

#[test]
fn a_kubectl_of_today_does_what_people_type() {
    if let Some(kubectl) = Kubectl::named_by("SLUICE_KUBECTL") {
        kubectl.does_what_people_type();
    }
}

#[test]
fn a_kubectl_of_years_ago_does_what_people_type() {
    if let Some(kubectl) = Kubectl::named_by("SLUICE_OLD_KUBECTL") {
        kubectl.does_what_people_type();
    }
}
