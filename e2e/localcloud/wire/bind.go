package wire

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"aicluster/e2e/localcloud/wire/model"
)

// Between the protocols and the SDK's types stands a tree, which validation,
// paging and the encoders work on. Its values are
//
//	structure  map[string]any, by member name; an absent member is not in it
//	map        map[string]any
//	list       []any
//	scalar     string, int64, float64, bool, time.Time or []byte
type tree = map[string]any

// binder moves values between trees and the SDK's types, whose fields are
// called as the model's members but for a first letter in upper case.
type binder struct {
	fields sync.Map // reflect.Type of a struct -> map[string]int: field index by name
}

func (b *binder) field(v reflect.Value, m *model.Member) (reflect.Value, error) {
	t := v.Type()
	index, ok := b.fields.Load(t)
	if !ok {
		names := make(map[string]int, t.NumField())
		for i := range t.NumField() {
			names[t.Field(i).Name] = i
		}
		index, _ = b.fields.LoadOrStore(t, names)
	}
	i, ok := index.(map[string]int)[upperFirst(m.Name)]
	if !ok {
		return reflect.Value{}, fmt.Errorf("%s has no field for member %s", t, m.Name)
	}
	return v.Field(i), nil
}

// fill sets the fields of the struct v from a structure's tree.
func (b *binder) fill(v reflect.Value, from tree, s *model.Shape) error {
	for name, value := range from {
		m := s.Find(name)
		f, err := b.field(v, m)
		if err != nil {
			return err
		}
		if err := b.set(f, value, m.Shape); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// set assigns one tree value to v.
func (b *binder) set(v reflect.Value, value any, s *model.Shape) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return b.set(v.Elem(), value, s)
	case reflect.Interface:
		return b.setUnion(v, value, s)
	}
	switch value := value.(type) {
	case tree:
		if s.Type == "map" {
			return b.setMap(v, value, s)
		}
		return b.fill(v, value, s)
	case []any:
		v.Set(reflect.MakeSlice(v.Type(), len(value), len(value)))
		for i, item := range value {
			if err := b.set(v.Index(i), item, s.Member.Shape); err != nil {
				return err
			}
		}
	case string:
		v.SetString(value)
	case int64:
		v.SetInt(value)
	case float64:
		v.SetFloat(value)
	case bool:
		v.SetBool(value)
	case time.Time:
		v.Set(reflect.ValueOf(value))
	case []byte:
		v.SetBytes(value)
	default:
		return fmt.Errorf("cannot put a %T into a %s", value, v.Type())
	}
	return nil
}

func (b *binder) setMap(v reflect.Value, from tree, s *model.Shape) error {
	v.Set(reflect.MakeMapWithSize(v.Type(), len(from)))
	for key, item := range from {
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := b.set(elem, item, s.Value.Shape); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), elem)
	}
	return nil
}

// setUnion refuses: the SDK's union members are types of their own that the
// table does not name. No operation that the local cloud serves takes one.
func (b *binder) setUnion(v reflect.Value, _ any, s *model.Shape) error {
	return fmt.Errorf("the union %s (%s) is not supported", s.Name, v.Type())
}

// read makes a structure's tree from the struct v. A nil pointer, list or map,
// and an empty enum, is absent. So is a member that the SDK's type lacks.
func (b *binder) read(v reflect.Value, s *model.Shape) tree {
	out := make(tree, len(s.Members))
	for _, m := range s.Members {
		f, err := b.field(v, m)
		if err != nil {
			continue
		}
		if value, ok := b.get(f, m.Shape); ok {
			out[m.Name] = value
		}
	}
	return out
}

// get makes the tree of one value; ok is false when it is absent.
func (b *binder) get(v reflect.Value, s *model.Shape) (value any, ok bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false
		}
		return b.get(v.Elem(), s)
	case reflect.String:
		// A string that is no pointer is an enum, where empty means absent,
		// or a list's or map's item, where the caller ignores ok.
		return v.String(), v.Len() > 0
	case reflect.Int32, reflect.Int64, reflect.Int:
		return v.Int(), true
	case reflect.Float32, reflect.Float64:
		return v.Float(), true
	case reflect.Bool:
		return v.Bool(), true
	case reflect.Slice:
		return b.getSlice(v, s)
	case reflect.Map:
		if v.IsNil() {
			return nil, false
		}
		out := make(tree, v.Len())
		for it := v.MapRange(); it.Next(); {
			out[it.Key().String()], _ = b.get(it.Value(), s.Value.Shape)
		}
		return out, true
	case reflect.Struct:
		if t, isTime := v.Interface().(time.Time); isTime {
			return t, true
		}
		return b.read(v, s), true
	}
	return nil, false
}

func (b *binder) getSlice(v reflect.Value, s *model.Shape) (any, bool) {
	if v.IsNil() {
		return nil, false
	}
	if s.Type == "blob" {
		return v.Bytes(), true
	}
	out := make([]any, v.Len())
	for i := range out {
		out[i], _ = b.get(v.Index(i), s.Member.Shape)
	}
	return out, true
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
