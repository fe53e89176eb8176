// SPDX-License-Identifier: Apache-2.0
//! The state file.

use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::key::Key;
use crate::resource;
use crate::verbs::{self, Caller, DeleteOptions};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sluice-state-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn moment() -> Moment {
    Moment {
        now: k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        random: fastrand::Rng::with_seed(3),
    }
}

fn make(state: &State, name: &str) {
    let namespaces = resource::find("", "v1", "namespaces").unwrap();
    let settings = api::context::Settings::default();
    let caller = Caller {
        settings: &settings,
        user: "u",
        manager: "m",
        has_booked: false,
        unknown: verbs::Unknown::Told,
    };
    let object = json!({"metadata": {"name": name}});
    let (_, kept) = state
        .write_kept(&mut moment(), false, |transaction| {
            verbs::create(transaction, namespaces, "", object, &caller)
        })
        .unwrap();
    kept.wait_blocking().unwrap();
}

fn names(state: &State) -> Vec<String> {
    let namespaces = resource::find("", "v1", "namespaces").unwrap();
    state.read(|store| store.list(namespaces, None).map(|(key, _)| key.name.clone()).collect())
}

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let scratch = Scratch::new("restart");
    let state = State::open(&scratch.file()).unwrap();
    for name in ["a", "b", "c"] {
        make(&state, name);
    }
    let key = Key::new(resource::find("", "v1", "namespaces").unwrap(), "", "b");
    state
        .write(&mut moment(), false, |transaction| {
            verbs::delete(transaction, &key, &DeleteOptions::default())
        })
        .unwrap();
    let version = state.read(Store::version);
    drop(state);
    let again = State::open(&scratch.file()).unwrap();
    assert_eq!(names(&again), ["a", "c"]);
    assert!(again.read(Store::version) > version);
    assert!(again.read(|store| store.events_after(version).is_err()));
}

/// A copy of the open file is what a killed process leaves.
#[test]
fn what_was_answered_is_in_the_file_of_a_killed_process() {
    let scratch = Scratch::new("killed");
    let state = State::open(&scratch.file()).unwrap();
    let copy = scratch.0.join("copy");
    for count in 1..=5 {
        make(&state, &format!("n{count}"));
        std::fs::copy(scratch.file(), &copy).unwrap();
        assert_eq!(names(&State::open(&copy).unwrap()).len(), count);
    }
}

/// Changes that nobody waits for are in the file when the state is gone.
#[test]
fn the_end_waits_for_the_file() {
    let scratch = Scratch::new("end");
    let state = State::open(&scratch.file()).unwrap();
    let namespaces = resource::find("", "v1", "namespaces").unwrap();
    for count in 0..50 {
        let name = format!("n{count}");
        let object = json!({"metadata": {"name": name}});
        let written = state.write(&mut moment(), false, |transaction| {
            transaction.put(Key::new(namespaces, "", &name), object);
            Ok(())
        });
        written.unwrap();
    }
    drop(state);
    assert_eq!(names(&State::open(&scratch.file()).unwrap()).len(), 50);
}

#[test]
fn a_file_in_use_is_refused() {
    let scratch = Scratch::new("in-use");
    let _state = State::open(&scratch.file()).unwrap();
    assert!(matches!(State::open(&scratch.file()), Err(OpenError::InUse { .. })));
}

#[test]
fn a_damaged_file_is_refused_and_kept() {
    let scratch = Scratch::new("damaged");
    for content in [b"".to_vec(), b"kind: Service".to_vec(), vec![0xff; 65_536]] {
        std::fs::write(scratch.file(), &content).unwrap();
        let refused = State::open(&scratch.file()).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        assert!(refused.to_string().contains("it is left as it is"), "{refused}");
        assert_eq!(std::fs::read(scratch.file()).unwrap(), content);
    }
}
