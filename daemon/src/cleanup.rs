// SPDX-License-Identifier: Apache-2.0
//! `sluice cleanup`: removes exactly what was recorded, and says what.
//!
//! Depends on: kernel, standalone (left).

use std::path::PathBuf;

use kernel::OpenError;

use crate::{
    cli,
    failure::{self, Exit, Failure},
    output, progress,
    standalone::left,
};

/// Runs the command.
pub(crate) fn run(arguments: &cli::Cleanup) -> Result<Exit, Failure> {
    let settings = arguments.places.settings();
    failure::need_privileges(&settings.proc_root)?;
    let pin_dir = settings.pin_dir.display();
    if settings.pin_dir.exists() && !kernel::host::is_on_bpffs(&settings.pin_dir) {
        let path = settings.pin_dir;
        return Err(OpenError::NoBpffs { path }.into());
    }
    let ended = progress::during("ending pods", || left::clean(&arguments.run_dir))?;
    let cleaned = progress::during("removing what is pinned", || kernel::cleanup(&settings))?;
    let pinned = cleaned.removed.iter().map(|path| path.display().to_string());
    let removed = ended.into_iter().chain(pinned);
    let mut lines: Vec<String> = removed.map(|what| format!("removed {what}")).collect();
    if lines.is_empty() && cleaned.left.is_empty() {
        lines.push(format!("nothing of ours at {pin_dir}"));
    }
    output::print(&lines)?;
    if cleaned.left.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::new(
        Exit::Foreign,
        format!("left alone, because we did not make it: {}", some_of(&cleaned.left)),
        "look at it, then remove it by hand",
    ))
}

/// The first few, and how many more there are.
fn some_of(paths: &[PathBuf]) -> String {
    const FEW: usize = 5;
    let mut told: Vec<String> = paths.iter().take(FEW).map(|path| path.display().to_string()).collect();
    if paths.len() > FEW {
        told.push(format!("and {} more", paths.len() - FEW));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_only_some_are_told() {
        let paths: Vec<PathBuf> = ["a", "b", "c", "d", "e", "f", "g"].map(PathBuf::from).into();
        assert_eq!(some_of(&paths), "a, b, c, d, e, and 2 more");
        assert_eq!(some_of(&paths[..2]), "a, b");
    }
}
