// SPDX-License-Identifier: Apache-2.0

// Writes daemon/standalone/src/http/protobuf/fields.txt: which field of a protobuf body is which field of the JSON object.
//
// Problem: kubectl sends some objects in protobuf, where fields have numbers and what is empty may be there all the same.
// Mechanism: the Go types of Kubernetes say both in their tags; their reflection is walked from the kinds that are served.
//
// Run in xtask/cluster: go run ./fields > ../../daemon/standalone/src/http/protobuf/fields.txt
package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	apps "k8s.io/api/apps/v1"
	scale "k8s.io/api/autoscaling/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Types with a form of their own in JSON.
var special = map[reflect.Type]string{
	reflect.TypeOf(resource.Quantity{}):    "+quantity",
	reflect.TypeOf(meta.Time{}):            "+time",
	reflect.TypeOf(meta.MicroTime{}):       "+microtime",
	reflect.TypeOf(meta.Duration{}):        "+duration",
	reflect.TypeOf(intstr.IntOrString{}):   "+either",
	reflect.TypeOf(meta.FieldsV1{}):        "+raw",
	reflect.TypeOf(runtime.RawExtension{}): "+raw",
}

var lines = map[string]string{}

func name(t reflect.Type) string {
	path := strings.Split(t.PkgPath(), "/")
	group := path[len(path)-2]
	return group + "." + t.Name()
}

// How a value is written: s, b (bytes), i, f (truth), or the name of a message.
func form(t reflect.Type) string {
	if found, ok := special[t]; ok {
		return found
	}
	switch t.Kind() {
	case reflect.Pointer:
		return form(t.Elem())
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "f"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32:
		return "i"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "b"
		}
		return "*" + form(t.Elem())
	case reflect.Map:
		return "%" + form(t.Elem())
	case reflect.Struct:
		walk(t)
		return name(t)
	}
	panic(t.String())
}

func walk(t reflect.Type) {
	if _, ok := lines[name(t)]; ok {
		return
	}
	lines[name(t)] = ""
	var fields []string
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		tag := strings.Split(field.Tag.Get("protobuf"), ",")
		if len(tag) < 2 {
			continue
		}
		json := strings.Split(field.Tag.Get("json"), ",")
		options := strings.Join(json[1:], ",")
		label := json[0]
		if strings.Contains(options, "inline") || label == "" {
			label = "."
		}
		// What is empty stays if it is told by a pointer, or if JSON always has it.
		stays := ""
		if field.Type.Kind() == reflect.Pointer || !strings.Contains(options, "omitempty") {
			stays = "!"
		}
		fields = append(fields, fmt.Sprintf("%s=%s%s:%s", tag[1], label, stays, form(field.Type)))
	}
	lines[name(t)] = strings.Join(fields, " ")
}

func main() {
	roots := []any{
		core.Namespace{}, core.Node{}, core.Pod{}, core.Service{}, core.Endpoints{}, core.ConfigMap{}, core.Secret{},
		core.ServiceAccount{}, core.Event{}, apps.Deployment{}, apps.ReplicaSet{},
		autoscaling.HorizontalPodAutoscaler{}, coordination.Lease{}, discovery.EndpointSlice{}, scale.Scale{},
		meta.DeleteOptions{},
	}
	fmt.Println("# SPDX-License-Identifier: Apache-2.0")
	fmt.Println("# Made by xtask/cluster/fields; see there. MESSAGE NUMBER=FIELD[!]:FORM ...")
	for _, root := range roots {
		walk(reflect.TypeOf(root))
	}
	var names []string
	for name := range lines {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(name, lines[name])
	}
}
