package wire

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"aicluster/e2e/localcloud/wire/model"
)

// TestEveryMemberHasAField fails when botocore's models and the SDK of go.mod
// are of too different dates.
func TestEveryMemberHasAField(t *testing.T) {
	s, cfg := newTestServer(t, Options{})
	for service, client := range sdkClients(cfg) {
		for name, op := range s.table.Services[service].Operations {
			method := client.MethodByName(name)
			if !method.IsValid() {
				t.Errorf("%s:%s: the SDK has no such operation", service, name)
				continue
			}
			seen := map[string]bool{}
			checkFields(t, s, method.Type().In(1), op.Input, service+":"+name, seen)
			checkFields(t, s, method.Type().Out(0), op.Output, service+":"+name, seen)
		}
	}
}

func checkFields(t *testing.T, s *Server, typ reflect.Type, shape *model.Shape, path string, seen map[string]bool) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if shape == nil || shape.Union || seen[shape.Name] {
		return
	}
	seen[shape.Name] = true
	switch {
	case shape.Type == "list":
		checkFields(t, s, typ.Elem(), shape.Member.Shape, path+"[]", seen)
	case shape.Type == "map":
		checkFields(t, s, typ.Elem(), shape.Value.Shape, path+"{}", seen)
	case shape.Type == "structure":
		for _, m := range shape.Members {
			f, err := s.bind.field(reflect.New(typ).Elem(), m)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			checkFields(t, s, f.Type(), m.Shape, path+"."+m.Name, seen)
		}
	}
}

// TestRoundTrip sends every operation of the table through the real SDK with
// random input and output; both have to arrive as they were.
func TestRoundTrip(t *testing.T) {
	s, cfg := newTestServer(t, Options{PageSize: 1000})
	dropConstraints(s.table)
	var sent, got, answer tree
	for service, client := range sdkClients(cfg) {
		for name, op := range s.table.Services[service].Operations {
			t.Run(service+"/"+name, func(t *testing.T) {
				random := generator{rand.New(rand.NewPCG(1, uint64(len(name))))}
				method := client.MethodByName(name)
				in, out := random.structure(op.Input, 0), random.structure(op.Output, 0)
				if op.Page != nil {
					delete(in, op.Page.In) // tokens are the layer's own
					delete(in, op.Page.Limit)
					delete(out, op.Page.Out)
					delete(out, op.Page.More)
				}
				handleAny(s, service, name, method.Type(), func(v any) (any, error) {
					got = s.bind.read(reflect.ValueOf(v).Elem(), shapeOrEmpty(op.Input))
					o := reflect.New(method.Type().Out(0).Elem())
					if err := s.bind.fill(o.Elem(), out, shapeOrEmpty(op.Output)); err != nil {
						return nil, err
					}
					return o.Interface(), nil
				})
				input := reflect.New(method.Type().In(1).Elem())
				if err := s.bind.fill(input.Elem(), in, shapeOrEmpty(op.Input)); err != nil {
					t.Fatal(err)
				}
				sent = s.bind.read(input.Elem(), shapeOrEmpty(op.Input))
				result := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), input})
				if err, _ := result[1].Interface().(error); err != nil {
					t.Fatal(err)
				}
				if diff := difference(sent, got); diff != "" {
					t.Errorf("input: %s", diff)
				}
				answer = s.bind.read(result[0].Elem(), shapeOrEmpty(op.Output))
				if op.Page != nil {
					delete(answer, op.Page.More)
				}
				if diff := difference(out, answer); diff != "" {
					t.Errorf("output: %s", diff)
				}
			})
		}
	}
}

func shapeOrEmpty(s *model.Shape) *model.Shape {
	if s == nil {
		return &model.Shape{Type: "structure"}
	}
	return s
}

func dropConstraints(t *model.Table) {
	for _, service := range t.Services {
		for _, s := range service.Shapes {
			s.Required, s.Enum, s.Regexp, s.Min, s.Max = nil, nil, nil, nil, nil
		}
	}
}

// difference names the first place where two trees differ.
func difference(want, got any) string {
	switch want := want.(type) {
	case tree:
		got, ok := got.(tree)
		if !ok {
			return fmt.Sprintf("want a structure, got %v", got)
		}
		for name := range got {
			if _, ok := want[name]; !ok && !isZero(got[name]) {
				return fmt.Sprintf("%s: unexpected %v", name, got[name])
			}
		}
		for name, v := range want {
			if d := difference(v, got[name]); d != "" {
				return name + ": " + d
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return fmt.Sprintf("want %v, got %v", want, got)
		}
		for i := range want {
			if d := difference(want[i], got[i]); d != "" {
				return fmt.Sprintf("[%d]: %s", i, d)
			}
		}
		return ""
	case time.Time:
		if got, ok := got.(time.Time); ok && want.Equal(got) {
			return ""
		}
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("want %#v, got %#v", want, got)
	}
	return ""
}

// isZero tells of values that the SDK's types cannot tell from absent ones.
func isZero(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) == 0
	case tree:
		return len(v) == 0
	}
	return v == nil || reflect.ValueOf(v).IsZero()
}

// generator makes random trees.
type generator struct{ *rand.Rand }

func (g generator) structure(s *model.Shape, depth int) tree {
	out := tree{}
	if s == nil {
		return out
	}
	for _, m := range s.Members {
		value, ok := g.value(m.Shape, depth)
		if items, isList := value.([]any); isList && m.Location == "querystring" {
			value = items[:1] // the SDK's signer sorts the values of a query parameter
		}
		if ok {
			out[m.Name] = value
		}
	}
	return out
}

func (g generator) value(s *model.Shape, depth int) (any, bool) {
	switch s.Type {
	case "structure":
		if depth > 8 || s.Union {
			return nil, false
		}
		out := g.structure(s, depth+1)
		return out, len(out) > 0 || len(s.Members) == 0
	case "list":
		var out []any
		for range 1 + g.IntN(2) {
			item, ok := g.value(s.Member.Shape, depth+1)
			if !ok {
				return nil, false
			}
			out = append(out, item)
		}
		return out, true
	case "map":
		item, ok := g.value(s.Value.Shape, depth+1)
		return tree{g.text(): item}, ok
	case "integer", "long":
		return int64(1 + g.IntN(1000)), true
	case "float", "double":
		return float64(1+g.IntN(1000)) / 4, true
	case "boolean":
		return true, true
	case "timestamp":
		return time.Unix(1_790_000_000+g.Int64N(1e6), 0).UTC(), true
	case "blob":
		return []byte(g.text()), true
	}
	return g.text(), true
}

// text has what encodings trip over.
func (g generator) text() string {
	const alphabet = `abcXYZ019-_.~ /+&<>"'%=?#:\é한`
	letters := []rune(alphabet)
	var b strings.Builder
	b.WriteByte('a') // no empty and no blank-led text: headers and paths would lose it
	for range 3 + g.IntN(8) {
		b.WriteRune(letters[g.IntN(len(letters))])
	}
	b.WriteByte('z')
	return b.String()
}

// TestSnapshots decodes the requests that the SDK's own modules ship as a
// corpus (request_snapshot/*.request.snap): every parameter must be known.
func TestSnapshots(t *testing.T) {
	modules := map[string]string{
		"autoscaling": "autoscaling", "ec2": "ec2", "eks": "eks", "elbv2": "elasticloadbalancingv2", "iam": "iam",
		"logs": "cloudwatchlogs", "servicequotas": "servicequotas", "ssm": "ssm", "sts": "sts",
	}
	table, err := model.Load()
	if err != nil {
		t.Fatal(err)
	}
	for service, module := range modules {
		dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/"+module).Output()
		if err != nil {
			t.Fatal(err)
		}
		for name, op := range table.Services[service].Operations {
			file := filepath.Join(strings.TrimSpace(string(dir)), "request_snapshot", name+".request.snap")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Errorf("%s:%s: %v", service, name, err)
				continue
			}
			if err := decodeSnapshot(op, string(text)); err != nil {
				t.Errorf("%s:%s: %v", service, name, err)
			}
		}
	}
}
