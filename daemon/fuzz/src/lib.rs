// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets share: the reference matcher of logic's own tests, not a copy of it.
//!
//! `routes_reference` is a symbolic link into `daemon/logic`; it finds `crate::traffic` here.

use logic::traffic;

pub mod routes_reference;
