// SPDX-License-Identifier: Apache-2.0

//go:build programs

// Package cluster names the programs that `cargo xtask cluster` builds, so that go.mod holds what they need.
package cluster

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
