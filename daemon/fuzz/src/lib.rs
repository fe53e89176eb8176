// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets share: the reference matcher of logic's own tests, not a copy of it, and other readers of HTTP/1.
//!
//! `routes_reference` is a symbolic link into `daemon/logic`; it finds `crate::traffic` here.

use logic::traffic;

pub mod cuts;
pub mod hyper_server;
pub mod routes_reference;
