package serving

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"aicluster/provision/engine"
)

// changesOf compares an object as it is with what the API server says that it would
// be after our next apply. Both have the server's defaults, so that only what
// would change is left. Fields are named as kubectl explain does, below the kind:
// "deployment.spec.template.spec.containers[vllm].image".
func changesOf(live, applied *unstructured.Unstructured) []engine.Change {
	var out []engine.Change
	compare(strings.ToLower(live.GetKind()), content(live), content(applied), func(path string, old, new any) {
		out = append(out, engine.Change{Field: path, Live: old, Wanted: new, Policy: engine.PolicyInPlace})
	})
	return out
}

// content is an object without what the API server and controllers write.
func content(u *unstructured.Unstructured) map[string]any {
	fields := u.DeepCopy().Object
	for _, name := range []string{"status", "apiVersion", "kind"} {
		delete(fields, name)
	}
	for _, name := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"} {
		unstructured.RemoveNestedField(fields, "metadata", name)
	}
	unstructured.RemoveNestedField(fields, "metadata", "annotations", "deployment.kubernetes.io/revision")
	prune(fields)
	return fields
}

// compare tells of every difference, as deep down as it lies.
func compare(path string, old, new any, tell func(path string, old, new any)) {
	oldMap, okOld := old.(map[string]any)
	newMap, okNew := new.(map[string]any)
	if okOld && okNew {
		keys := maps.Clone(oldMap)
		maps.Copy(keys, newMap)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			compare(under(path, k), oldMap[k], newMap[k], tell)
		}
		return
	}
	oldNamed, okOld := byName(old)
	newNamed, okNew := byName(new)
	if okOld && okNew {
		keys := maps.Clone(oldNamed)
		maps.Copy(keys, newNamed)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			compare(path+"["+k+"]", oldNamed[k], newNamed[k], tell)
		}
		return
	}
	if !reflect.DeepEqual(old, new) {
		tell(path, old, new)
	}
}

// under adds a key to a path; keys of labels and annotations have dots of their own.
func under(path, key string) string {
	if strings.ContainsAny(key, "./") {
		return fmt.Sprintf("%s[%s]", path, key)
	}
	return path + "." + key
}

// byName is a list whose items have names, as containers, volumes and ports do.
func byName(v any) (map[string]any, bool) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, false
	}
	named := map[string]any{}
	for _, item := range list {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		if name == "" || named[name] != nil {
			return nil, false
		}
		named[name] = item
	}
	return named, true
}
