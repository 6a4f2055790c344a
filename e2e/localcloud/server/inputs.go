package server

import (
	"maps"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"aicluster/e2e/localcloud/iam"
)

// member reads a field of an input; nil if it has none of the name.
func member(input any, name string) any {
	v := reflect.Indirect(reflect.ValueOf(input))
	if v.Kind() != reflect.Struct {
		return nil
	}
	f := v.FieldByName(name)
	if !f.IsValid() {
		return nil
	}
	return f.Interface()
}

func stringMember(input any, name string) string {
	text, _ := member(input, name).(*string)
	return aws.ToString(text)
}

func listMember(input any, name string) []string {
	list, _ := member(input, name).([]string)
	return list
}

// requestTags are the tags in a request: a map, or a list of keys and values.
func requestTags(input any) map[string]string {
	tags := map[string]string{}
	switch v := reflect.ValueOf(member(input, "Tags")); v.Kind() {
	case reflect.Map:
		have, _ := v.Interface().(map[string]string)
		maps.Copy(tags, have)
	case reflect.Slice:
		for i := range v.Len() {
			tag := v.Index(i).Interface()
			tags[stringMember(tag, "Key")] = stringMember(tag, "Value")
		}
	}
	return tags
}

// tagKeys are the condition keys of the tags that a request sets or removes.
func tagKeys(input any) iam.Context {
	keys := tagContext(requestTags(input))
	if removed := listMember(input, "TagKeys"); len(removed) > 0 {
		keys.Set("aws:TagKeys", removed...)
	}
	return keys
}

func setTags(keys iam.Context, prefix string, tags map[string]string) {
	for k, v := range tags {
		keys.Set(prefix+k, v)
	}
}

func sortedKeys(tags map[string]string) []string { return slices.Sorted(maps.Keys(tags)) }
