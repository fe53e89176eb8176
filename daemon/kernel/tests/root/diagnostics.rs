// SPDX-License-Identifier: Apache-2.0
//! Lines of an object with diagnostics. Needs feature `log`, and the object of `cargo xtask build --log`.

use std::sync::{Arc, Mutex};

use kernel::{DiagnosticsError, Hooks, Kernel, PodId, Settings};
use log::{Log, Metadata, Record};

use crate::rig::{Rig, eventually};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn of(&self, beginning: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines
            .iter()
            .filter(|line| line.starts_with(beginning))
            .cloned()
            .collect()
    }
}

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn a_counted_connection_writes_one_line_when_it_comes_and_one_when_it_goes() {
    let Some(mut rig) = Rig::with_object() else { return };
    let Some(object) = rig.object_file("sluice-log.o", "cargo xtask build --log") else {
        return;
    };
    let kernel = Kernel::open(Settings {
        object: Some(object),
        ..rig.settings()
    })
    .unwrap();
    let lines = Lines::default();
    let mut diagnostics = kernel.diagnostics(lines.clone()).unwrap();
    let hooks = Hooks {
        account: true,
        redirect: false,
    };
    kernel.attach(&rig.cgroup, hooks).unwrap();
    let server = rig.server();
    kernel.track(server.key(), PodId(6), 0).unwrap();
    let mut client = server.connect();
    let port = client.stream.local_addr().unwrap().port();
    (0..10).for_each(|_| client.get());
    diagnostics.forward();
    assert_eq!(
        lines.of("connection"),
        [format!("connection counted: pod 6, client port {port}")],
        "and none for the packets"
    );
    drop(client);
    assert!(eventually(|| {
        diagnostics.forward();
        lines.of("connection closed") == ["connection closed: pod 6"]
    }));
    assert_eq!(kernel.counts(PodId(6)).unwrap().core.ended, 10);
}

#[test]
fn an_object_without_diagnostics_says_so() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    let error = kernel.diagnostics(Lines::default()).unwrap_err();
    assert!(matches!(error, DiagnosticsError::NotBuilt), "{error:?}");
    assert!(error.advice().contains("--log"));
}
