// SPDX-License-Identifier: Apache-2.0
//! The harness of the suite of truth.
//!
//! Problem: what the kernel counted must be held against something that nobody here wrote into the kernel: what the
//! server *application* read and wrote, over real sockets, with a real network in between.
//! Mechanism: a [`rig::Rig`] owns one cgroup subtree and makes [`rig::Field`]s (client, router and pod in network
//! namespaces of their own, joined by veth); a [`scene::Scene`] runs one case on a field: servers as child processes
//! in the pod's cgroup that keep a [`truth::Ledger`], clients in this process, a [`counter::Counter`] beside them.
//! Invariants: everything made is removed, also on panic and on SIGTERM; nothing attaches outside the own subtree.
//! Depends on: kernel, iproute2, nftables, ethtool; curl and nghttp2-client for the cases named after them.

pub mod client;
pub mod counter;
pub mod fault;
pub mod redirect;
pub mod rig;
pub mod role;
pub mod scene;
pub mod steered;
pub mod suite;
pub mod truth;
