// Package tools names what is built, so that go.sum has its dependencies.
package tools

import _ "k8s.io/kubernetes/cmd/kube-apiserver/app"
