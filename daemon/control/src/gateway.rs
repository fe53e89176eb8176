// SPDX-License-Identifier: Apache-2.0
//! What every gateway shall do: one [`Programme`], published as a whole, changed in parts.
//!
//! Problem: the data plane needs hosts, backends, pods, certificates and addresses in one consistent state, at thousands of
//! Services, and a pod that became ready must not cost a look at all of them.
//! Mechanism: Ingresses, Revisions, pods, Services, Secrets are translated one by one (pure, [`routes`], [`backend`],
//! [`target`], [`certificate`]) into persistent maps ([`shards`]); [`keeper`] translates again what a change touches.
//! Invariants: two programmes share what did not change, so a reader finds the difference by comparing pointers; the same
//! objects give the same programme, in whatever order they came.
//! Depends on: api, logic, key; its parts.

pub mod backend;
pub mod certificate;
mod claims;
pub mod keeper;
pub mod programme;
pub mod routes;
pub mod shards;
mod standing;
pub mod target;

pub use backend::{Backend, BackendPod, BackendTimeouts};
pub use certificate::Certificate;
pub use keeper::Gateway;
pub use programme::{Programme, Side};
pub use routes::{IngressRules, Problem};
pub use shards::Shards;
pub use standing::Standing;
pub use target::Target;
