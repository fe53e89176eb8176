// SPDX-License-Identifier: Apache-2.0
//! The autoscaler played over a trace, with a model of pods.
