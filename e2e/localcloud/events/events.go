// Package events plays what clusters need of Amazon EventBridge: rules on the
// default bus that put events of AWS's services into queues.
package events

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/uuid"

	"aicluster/e2e/localcloud/sqs"
	"aicluster/e2e/localcloud/wire"
)

// Service is EventBridge of all regions.
type Service struct {
	queues *sqs.Service

	mu    sync.Mutex
	rules map[key]*rule
}

type key struct{ region, name string }

func (k key) arn() string {
	return "arn:aws:events:" + k.region + ":" + wire.AccountID + ":rule/" + k.name
}

type rule struct {
	pattern, description string
	state                types.RuleState
	role                 string
	targets              []types.Target
	tags                 map[string]string
}

// bus is the name of the bus that AWS's services send their events to.
const bus = "default"

// New returns a service without rules, which delivers to queues.
func New(queues *sqs.Service) *Service { return &Service{queues: queues, rules: map[key]*rule{}} }

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("events", "eventbridge", goFiles)
	wire.Handle(w, "events", s.putRule)
	wire.Handle(w, "events", s.describeRule)
	wire.Handle(w, "events", s.deleteRule)
	wire.Handle(w, "events", s.listRules)
	wire.Handle(w, "events", s.putTargets)
	wire.Handle(w, "events", s.removeTargets)
	wire.Handle(w, "events", s.listTargetsByRule)
	wire.Handle(w, "events", s.tagResource)
	wire.Handle(w, "events", s.untagResource)
	wire.Handle(w, "events", s.listTagsForResource)
}

// Inventory lists the rules, sorted, as "events/rule region name".
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for k := range s.rules {
		list = append(list, fmt.Sprintf("events/rule %s %s", k.region, k.name))
	}
	slices.Sort(list)
	return list
}

// Event is what a service of AWS has to say.
type Event struct {
	Source     string // aws.ec2
	DetailType string // EC2 Spot Instance Interruption Warning
	Resources  []string
	Detail     map[string]any
}

// Emit hands an event to the rules of a region that match it, and those to their
// targets.
func (s *Service) Emit(region string, e Event) {
	body, err := json.Marshal(map[string]any{
		"version": "0", "id": uuid.NewString(), "detail-type": e.DetailType, "source": e.Source, "account": wire.AccountID,
		"time": time.Now().UTC().Format(time.RFC3339), "region": region, "resources": e.Resources, "detail": e.Detail,
	})
	if err != nil {
		return // a detail of strings
	}
	type delivery struct{ target, rule string }
	var due []delivery
	s.mu.Lock()
	for k, r := range s.rules {
		if k.region != region || r.state != types.RuleStateEnabled || !matches(r.pattern, body) {
			continue
		}
		for _, t := range r.targets {
			due = append(due, delivery{*t.Arn, k.arn()})
		}
	}
	s.mu.Unlock()
	for _, d := range due {
		s.queues.Deliver(region, d.target, "events.amazonaws.com", d.rule, string(body))
	}
}

// matches compares an event with a pattern: every field of the pattern must have
// one of its values (EventBridge user guide, "Creating event patterns").
func matches(pattern string, event []byte) bool {
	var want, have map[string]any
	if json.Unmarshal([]byte(pattern), &want) != nil || json.Unmarshal(event, &have) != nil {
		return false
	}
	return within(want, have)
}

func within(want, have map[string]any) bool {
	for name, w := range want {
		switch w := w.(type) {
		case map[string]any:
			h, ok := have[name].(map[string]any)
			if !ok || !within(w, h) {
				return false
			}
		case []any:
			if !slices.Contains(w, have[name]) {
				return false
			}
		}
	}
	return true
}

func invalidPattern(format string, args ...any) error {
	return &types.InvalidEventPatternException{Message: aws.String("Event pattern is not valid. Reason: " + fmt.Sprintf(format, args...))}
}

// checkPattern refuses what is no pattern. Of the comparisons only that with plain
// values is played.
func checkPattern(pattern string) error {
	var fields map[string]any
	if err := json.Unmarshal([]byte(pattern), &fields); err != nil {
		return invalidPattern("Filter is not an object")
	}
	return checkFields(fields)
}

func checkFields(fields map[string]any) error {
	if len(fields) == 0 {
		return invalidPattern("Empty objects are not allowed")
	}
	for name, value := range fields {
		switch value := value.(type) {
		case map[string]any:
			if err := checkFields(value); err != nil {
				return err
			}
		case []any:
			for _, v := range value {
				if _, ok := v.(map[string]any); ok || len(value) == 0 {
					return invalidPattern("Unrecognized match type in %q", name)
				}
			}
		default:
			return invalidPattern("%q must be an object or an array", name)
		}
	}
	return nil
}

func validation(format string, args ...any) error {
	return &wire.Error{Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}

func missing(name string) error {
	return &types.ResourceNotFoundException{Message: aws.String("Rule " + name + " does not exist on EventBus " + bus + ".")}
}

// onDefault refuses buses that are not there.
func onDefault(name *string) error {
	if n := aws.ToString(name); n != "" && n != bus && !strings.HasSuffix(n, ":event-bus/"+bus) {
		return &types.ResourceNotFoundException{Message: aws.String("Event bus " + n + " does not exist.")}
	}
	return nil
}
