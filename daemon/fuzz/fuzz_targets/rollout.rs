// SPDX-License-Identifier: Apache-2.0
//! Any annotation: reading, pacing and stepping never panic, and what was read is written back the same.
#![no_main]
#![allow(clippy::panic, reason = "this is how a target fails")]

use logic::traffic::rollout::{self, ConfigurationRollout, Observation, RevisionRollout, Rollout};
use std::time::Duration;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_at_checked(10) else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(state) = Rollout::parse(text) else { return };
    let again = Rollout::parse(&state.to_text());
    assert!(again.is_ok_and(|again| again == state), "{text}");

    let [percent, flags, now @ ..] = head else { return };
    let now = now.try_into().map_or(0, i64::from_le_bytes);
    let percent = i64::from(*percent) % 101;
    let revision = if flags & 1 == 0 { "v1" } else { "v2" };
    let one = ConfigurationRollout {
        configuration_name: "a".to_owned(),
        percent,
        revisions: vec![RevisionRollout {
            revision_name: revision.to_owned(),
            percent,
        }],
        ..ConfigurationRollout::default()
    };
    let seen = Observation {
        annotation: Some(text),
        duration: Duration::from_secs(u64::from(*flags)),
        ingress_became_ready: flags & 2 != 0,
        now,
    };
    let goal = Rollout {
        configurations: vec![one],
    };
    let stepped = rollout::reconcile(goal, &seen);
    assert!(stepped.rollout.configurations.len() <= 1);
});
