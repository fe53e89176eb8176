// SPDX-License-Identifier: Apache-2.0
//! What an instance that was killed left, and its end.
//!
//! Mechanism: an instance records its cgroup and the names of its devices in its run folder; whoever cleans reads it there.
//! Invariants: only what was recorded is removed, and never that of an instance that lives.
//! Depends on: claim, standalone (runner).

use std::fs;
use std::path::{Path, PathBuf};

use ::standalone::runner;
use serde_json::{Value, json};

use super::claim::Claim;
use crate::cli;
use crate::failure::{Failure, doing};

const RECORD: &str = "instance.json";

/// Records whose the folder is.
pub(super) fn record(run: &Path, cgroup: &Path, prefix: &str) -> Result<(), Failure> {
    let path = run.join(RECORD);
    let record = json!({"cgroup": cgroup, "devicePrefix": prefix}).to_string();
    fs::write(&path, record).map_err(doing(format!("writing {}", path.display()), "choose another --run-dir"))
}

/// What the runner of an instance makes, in its run folder.
pub(super) fn pods(run: &Path) -> PathBuf {
    run.join("pods")
}

/// Where clients find out where the API is.
pub(super) fn kubeconfig(run: &Path) -> PathBuf {
    run.join("kubeconfig")
}

/// The built-in image.
pub(super) fn sample(run: &Path) -> PathBuf {
    run.join(cli::SAMPLE)
}

/// An instance has ended and left nothing.
pub(super) fn forget(run: &Path) {
    for file in [kubeconfig(run), sample(run), run.join(RECORD)] {
        // What is not there need not be forgotten.
        let _ = fs::remove_file(file);
    }
}

/// An instance was refused before it made anything; one of before may have left something.
pub(super) fn forget_refused(run: &Path) {
    if !run.join(RECORD).exists() {
        forget(run);
    }
}

/// Removes what is recorded in a run folder; answers what that was, nothing if there is no record.
pub(crate) fn clean(run: &Path) -> Result<Vec<String>, Failure> {
    let Some((cgroup, prefix)) = read(run) else {
        return Ok(Vec::new());
    };
    let claim = Claim::names(run, &cgroup, &prefix)?;
    let settings = runner::Settings {
        prefix,
        cgroup,
        run: pods(run),
        ..runner::Settings::new(PathBuf::new())
    };
    let removed = runner::cleanup(&settings);
    forget(run);
    drop(claim);
    Ok(removed)
}

fn read(run: &Path) -> Option<(PathBuf, String)> {
    let record: Value = serde_json::from_str(&fs::read_to_string(run.join(RECORD)).ok()?).ok()?;
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    Some((text("cgroup")?.into(), text("devicePrefix")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_forgotten_once() {
        let run = std::env::temp_dir().join(format!("sluice-left-{}", std::process::id()));
        fs::create_dir_all(&run).unwrap();
        assert_eq!(read(&run), None);
        record(&run, Path::new("/cgroup/a"), "abc").unwrap();
        assert_eq!(read(&run), Some(("/cgroup/a".into(), "abc".to_owned())));
        forget(&run);
        assert_eq!(read(&run), None);
        fs::remove_dir_all(run).unwrap();
    }
}
