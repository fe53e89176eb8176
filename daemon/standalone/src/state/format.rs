// SPDX-License-Identifier: Apache-2.0
//! What stands in a state file: one table of objects by resource, namespace and name, one of counters.
//!
//! Invariants: versions only grow, also over restarts.
//! Depends on: nothing.

use redb::{Database, ReadableTable, TableDefinition};

/// The objects, as JSON.
pub(super) const OBJECTS: TableDefinition<(&str, &str, &str), &[u8]> = TableDefinition::new("objects");
pub(super) const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
pub(super) const VERSION: &str = "version";
pub(super) const FORMAT: &str = "format";
/// The format of this code; another is refused.
pub(super) const CURRENT: u64 = 1;

/// How much further versions go on after a restart.
const GAP: u64 = 1 << 20;

/// The first write of a process. Answers the version to go on with.
pub(super) fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(OBJECTS)?;
    let version = {
        let mut counters = transaction.open_table(COUNTERS)?;
        let before = counters.get(VERSION)?.map(|count| count.value());
        if before.is_none() {
            counters.insert(FORMAT, CURRENT)?;
        }
        // Somebody may have seen versions that did not reach the file.
        let version = before.map_or(1, |version| version.saturating_add(GAP));
        counters.insert(VERSION, version)?;
        version
    };
    transaction.commit()?;
    Ok(version)
}
