// SPDX-License-Identifier: Apache-2.0
//! A client in a pod that calls another service without a pause, while that one goes to zero and comes back.
//!
//! Depends on: bash in the client's pod: its connections, its look-ups of the name and its counts are nothing of ours.

use crate::place::{FAST, PATIENCE, Place, executable, figure, service, within};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// As many loops as `many` says call `app`, each time on a new connection, one call after the other; each writes a line for
/// a call it begins and one for how it ended.
const CLIENT: &str = r#"#!/bin/bash
cd "${0%/*}" || exit 1
call() {
  exec 5<>"/dev/tcp/app.default.svc.cluster.local/80" || { answer="no connection"; return; }
  printf 'GET / HTTP/1.1\r\nHost: app.default.svc.cluster.local\r\nConnection: close\r\n\r\n' >&5
  answer=
  IFS= read -r -d '' -t 25 answer <&5
  [ $? -gt 128 ] && answer="nothing in time, but: $answer"
  exec 5>&- 5<&-
}
loop() {
  while :; do
    read -r many < many
    if [ "$1" -ge "${many:-0}" ]; then sleep 0.02; continue; fi
    echo >> "sent.$1"
    call 2>> "errors.$1"
    case $answer in
      "HTTP/1.1 200 OK"*"hello app"*) echo good >> "answers.$1" ;;
      *) echo "${answer@Q}" >> "answers.$1" ;;
    esac
  done
}
for number in 0 1 2 3 4 5; do loop $number & done
wait
"#;
const LOOPS: usize = 6;

/// The room that is wanted by default is there with three pods and not with two: each cycle goes from the gateway to the
/// direct way and back.
#[test]
fn a_caller_in_a_pod_loses_no_call_while_the_other_goes_to_zero_and_back() {
    let Some(place) = Place::new() else { return };
    let image = format!("client={}", executable(&place.folder, "client", CLIENT).display());
    let caller = service("caller", "autoscaling.knative.dev/min-scale: '1'").replace("sluice.dev/sample", "client");
    let app = "autoscaling.knative.dev/initial-scale: '0', autoscaling.knative.dev/activation-scale: '3'";
    let calls = Calls(place.folder.clone());
    calls.run(0);
    let manifests = format!("{FAST}{}{caller}", service("app", app));
    let instance = place.start(&manifests, &["--image", &image]);
    // The caller listens nowhere, and so is never ready.
    assert!(within(PATIENCE, || instance.is_ready("app")), "app is not ready");
    let of_app = |name: &str| figure(&instance, name, "app").unwrap_or_default();
    // Calls begin again at another moment of the way back each time: no pod is left, the gateway is in the way again, the
    // first pod goes.
    let moments: [(&str, &dyn Fn() -> bool); 3] = [
        ("no pod is left", &|| instance.pods_of("app").is_empty()),
        ("the gateway is back in the way", &|| {
            of_app("sluice_revision_direct") == 0.0
        }),
        ("a pod goes", &|| of_app("kn_revision_pods_count") < 3.0),
    ];
    for (moment, has_come) in moments {
        let before = calls.ended();
        calls.run(LOOPS);
        let is_direct = || of_app("sluice_revision_direct") == 1.0 && calls.ended() > before + 100;
        assert!(
            within(PATIENCE, is_direct),
            "before {moment:?} it never was direct: {}",
            calls.said()
        );
        calls.run(1);
        sleep(Duration::from_millis(300));
        calls.run(0);
        assert!(within(PATIENCE * 2, has_come), "{moment:?} never came");
    }
    let before = calls.ended();
    calls.run(LOOPS);
    assert!(within(PATIENCE, || calls.ended() > before + 100), "{}", calls.said());
    calls.run(0);
    // Whoever was told before may begin one more.
    let mut rest = None;
    let rests = || {
        let ended = calls.ended();
        let is_over = rest.replace(ended) == Some(ended) && calls.sent() == ended;
        sleep(Duration::from_secs(1));
        is_over
    };
    assert!(within(PATIENCE, rests), "calls have no end");
    let wrong = calls.wrong();
    assert!(
        wrong.is_empty(),
        "{} of {} failed: {wrong:#?}",
        wrong.len(),
        calls.sent()
    );
    let counted = || of_app("sluice_kernel_request_count_total");
    let sent = calls.sent() as f64;
    assert!(
        within(PATIENCE, || counted() >= sent),
        "{} of {sent} are counted",
        counted()
    );
    assert_eq!(counted(), sent, "more are counted than were sent");
    assert_eq!(of_app("sluice_kernel_uncertain_total"), 0.0);
    let by_gateway = of_app("kn_revision_request_count_total");
    assert!(
        by_gateway > 0.0 && by_gateway < sent,
        "{by_gateway} of {sent} took the gateway"
    );
    assert!(within(PATIENCE, || of_app("kn_revision_request_concurrency") == 0.0));
    instance.end();
    place.assert_nothing_left();
}

/// What the client does, and wrote.
struct Calls(PathBuf);

impl Calls {
    /// So many loops, from now on.
    fn run(&self, many: usize) {
        let new = self.0.join("many.new");
        fs::write(&new, format!("{many}\n")).unwrap();
        fs::rename(new, self.0.join("many")).unwrap();
    }

    fn lines(&self, of: &str) -> Vec<String> {
        let files = (0..LOOPS).map(|number| self.0.join(format!("{of}.{number}")));
        let texts = files.map(|file| fs::read_to_string(file).unwrap_or_default());
        texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn sent(&self) -> usize {
        self.lines("sent").len()
    }

    fn ended(&self) -> usize {
        self.lines("answers").len()
    }

    fn wrong(&self) -> Vec<String> {
        self.lines("answers")
            .into_iter()
            .filter(|line| line != "good")
            .collect()
    }

    fn said(&self) -> String {
        let wrong = (self.wrong(), self.lines("errors"));
        format!("{} calls, of them failed: {wrong:?}", self.sent())
    }
}
