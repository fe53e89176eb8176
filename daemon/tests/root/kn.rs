// SPDX-License-Identifier: Apache-2.0
//! `kn` itself, against `sluice standalone`: what its users type, and that its waiting ends.
//!
//! `SLUICE_KN` names it; `cargo xtask test root` builds it.

use crate::place::{Instance, Place, service, within};
use crate::rig::{eventually, is_required};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Domains are claimed by whoever maps them first.
const CLAIMS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-network, namespace: knative-serving}\n\
    data: {autocreate-cluster-domain-claims: 'true'}\n";
const IMAGE: [&str; 2] = ["--image", "sluice.dev/sample"];

/// kn, and the instance that it talks to.
struct Kn {
    program: PathBuf,
    place: Place,
}

impl Kn {
    #[expect(clippy::disallowed_methods, reason = "tests are told by the environment")]
    fn new() -> Option<Self> {
        let Some(program) = std::env::var_os("SLUICE_KN") else {
            assert!(!is_required(), "required, but SLUICE_KN names no kn");
            println!("skipped: SLUICE_KN names no kn: `cargo xtask test root` builds it");
            return None;
        };
        let place = Place::new()?;
        Some(Self {
            program: program.into(),
            place,
        })
    }

    /// Whether it ended well, and all that it said.
    fn run(&self, words: &str, more: &[&str]) -> (bool, String) {
        let mut kn = Command::new("timeout");
        kn.arg("60").arg(&self.program);
        kn.arg("--kubeconfig").arg(self.place.folder.join("run/kubeconfig"));
        kn.args(words.split(' ')).args(more).env("HOME", &self.place.folder);
        let ended = kn.output().unwrap();
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        (ended.status.success(), said)
    }

    fn says(&self, words: &str, more: &[&str], expected: &[&str]) -> String {
        let (is_well, said) = self.run(words, more);
        assert!(is_well, "kn {words} {more:?} failed:\n{said}");
        for expected in expected {
            assert!(said.contains(expected), "kn {words} lacks {expected:?}:\n{said}");
        }
        said
    }

    /// What only looks, and looks again: a request is answered before all of a status is written.
    fn shows(&self, words: &str, expected: &[&str]) -> String {
        let mut last = String::new();
        let is_shown = within(Duration::from_secs(30), || {
            let (is_well, said) = self.run(words, &[]);
            last = said;
            is_well && expected.iter().all(|expected| last.contains(expected))
        });
        assert!(is_shown, "kn {words} lacks one of {expected:?} for 30 s:\n{last}");
        last
    }

    fn refuses(&self, words: &str, more: &[&str], expected: &str) {
        let (is_well, said) = self.run(words, more);
        assert!(
            !is_well && said.contains(expected),
            "kn {words} lacks {expected:?}:\n{said}"
        );
    }

    fn end(self, instance: Instance) {
        instance.end();
        self.place.assert_nothing_left();
    }
}

#[test]
fn kn_creates_updates_shows_and_deletes_services() {
    let Some(kn) = Kn::new() else { return };
    let instance = kn.place.start(CLAIMS, &[]);
    let url = "http://hello.default.localhost";
    let host = "hello.default.localhost";
    let create = "service create hello --env TARGET=one";
    kn.says(
        create,
        &IMAGE,
        &["Ready to serve.", "created to latest revision 'hello-00001'", url],
    );
    assert!(instance.get(host, "/").1.contains("one"));
    kn.refuses(
        create,
        &IMAGE,
        "the service already exists and no --force option was given",
    );
    kn.says(
        "service update hello --env TARGET=two",
        &[],
        &["Ready to serve.", "updated to latest revision 'hello-00002'"],
    );
    assert!(eventually(|| instance.get(host, "/").1.contains("two")));
    kn.shows("service list", &["LATEST", url, "hello-00002", "3 OK / 3", "True"]);
    kn.shows(
        "service describe hello",
        &[
            "100%  @latest (hello-00002) [2]",
            "Image:  sluice.dev/sample",
            "++ Ready",
        ],
    );
    kn.says("service wait hello", &[], &["is ready"]);
    kn.says(
        "service create hello --force --cluster-local --scale 1..3 --annotation note=kept",
        &IMAGE,
        &["replaced to latest revision", "http://hello.default.svc.cluster.local"],
    );
    kn.shows(
        "service describe hello -v",
        &["visibility=cluster-local", "Scale:     1 ... 3", "note=kept"],
    );
    kn.says("service delete hello --wait", &[], &["successfully deleted"]);
    kn.shows("service list", &["No services found."]);
    assert!(
        within(Duration::from_secs(30), || instance.pods() == 0),
        "pods stay behind a service that is gone"
    );
    kn.refuses(
        "service describe hello",
        &[],
        "services.serving.knative.dev \"hello\" not found",
    );
    kn.end(instance);
}

#[test]
fn kn_applies_splits_traffic_and_keeps_revisions_in_order() {
    let Some(kn) = Kn::new() else { return };
    let instance = kn.place.start(CLAIMS, &[]);
    kn.says(
        "service apply app --env TARGET=one",
        &IMAGE,
        &["Ready to serve.", "created to latest revision 'app-00001'"],
    );
    kn.says("service apply app --env TARGET=one", &IMAGE, &["No changes to apply"]);
    kn.says(
        "service apply app --env TARGET=two",
        &IMAGE,
        &["applied to latest revision 'app-00002'"],
    );
    kn.says(
        "service update app --tag app-00001=old --traffic old=100 --traffic @latest=0",
        &[],
        &["Ready to serve.", "'app' with latest revision 'app-00002' (unchanged)"],
    );
    assert!(eventually(|| instance
        .get("app.default.localhost", "/")
        .1
        .contains("one")));
    assert!(eventually(|| instance
        .get("old-app.default.localhost", "/")
        .1
        .contains("one")));
    kn.shows(
        "revision list --service app",
        &["app-00001   app       100%      old", "app-00002", "True"],
    );
    kn.shows(
        "revision describe app-00001",
        &["TARGET=one", "Service:    app", "++ ContainerHealthy"],
    );
    kn.says("service apply app --env TARGET=three", &IMAGE, &["'app-00003'"]);
    kn.says("revision delete app-00002 --wait", &[], &["'app-00002' deleted"]);
    kn.says(
        "service update app --untag old --traffic @latest=100",
        &[],
        &["Ready to serve."],
    );
    assert!(eventually(|| instance
        .get("app.default.localhost", "/")
        .1
        .contains("three")));
    let pruned = || {
        kn.says("revision delete --prune app", &[], &[])
            .contains("'app-00001' deleted")
    };
    assert!(within(Duration::from_secs(30), pruned), "it is still routed to");
    let left = kn.shows("revision list", &["app-00003"]);
    assert!(!left.contains("app-00001") && !left.contains("app-00002"), "{left}");
    let exported = kn.says("service export app --mode replay -o yaml", &[], &["name: app"]);
    let file = kn.place.folder.join("exported.yaml");
    std::fs::write(&file, exported).unwrap();
    kn.says("service delete app --wait", &[], &["successfully deleted"]);
    kn.says(
        "service create app -f",
        &[file.to_str().unwrap()],
        &["Ready to serve.", "http://app.default.localhost"],
    );
    kn.end(instance);
}

#[test]
fn kn_shows_routes_maps_domains_and_says_why_a_service_is_not_ready() {
    let Some(kn) = Kn::new() else { return };
    let instance = kn.place.start(&format!("{CLAIMS}{}", service("hello", "")), &[]);
    assert!(eventually(|| instance.get("hello.default.localhost", "/").0 == 200));
    kn.shows("route list", &["http://hello.default.localhost", "True"]);
    kn.shows(
        "route describe hello",
        &[
            "100%  @latest (hello-00001)",
            "Service:    hello",
            "++ AllTrafficAssigned",
        ],
    );
    kn.says(
        "domain create hello.example.com --ref hello",
        &[],
        &["'hello.example.com' created"],
    );
    assert!(eventually(|| instance
        .get("hello.example.com", "/")
        .1
        .contains("hello")));
    kn.shows(
        "domain list",
        &["hello.example.com", "http://hello.example.com", "True"],
    );
    kn.shows(
        "domain describe hello.example.com",
        &["Kind:        Service", "++ DomainClaimed", "++ ReferenceResolved"],
    );
    kn.says("domain delete hello.example.com", &[], &["deleted"]);
    assert!(eventually(|| instance.get("hello.example.com", "/").0 == 404));
    // Which of two conditions it names depends on which was written last, as in Knative.
    let (is_well, said) = kn.run(
        "service create lost --wait-timeout 40 --image nowhere.example/none",
        &[],
    );
    let is_told = ["Error: RevisionFailed: ", "Error: RevisionMissing: "]
        .iter()
        .any(|reason| said.contains(reason));
    assert!(!is_well && is_told, "{said}");
    let whole = kn.shows("service describe lost -o yaml", &["nowhere.example/none=PATH"]);
    assert!(whole.contains("reason: RevisionFailed"), "{whole}");
    let why = kn.shows("revision describe lost-00001", &["!! Ready"]);
    assert!(why.contains("ContainerMissing"), "{why}");
    kn.end(instance);
}
