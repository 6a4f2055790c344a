package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/eks"
	"aicluster/e2e/localcloud/wire"
)

// adminPath is where the local cloud answers about itself. It needs no
// signature: it is reachable from this machine only.
const adminPath = "/_localcloud/"

// adminHandler answers
//
//	GET    /_localcloud/profile     how long things take
//	GET    /_localcloud/inventory   everything that exists, by service
//	GET    /_localcloud/calls       what was called how often
//	DELETE /_localcloud/calls       begins to count anew
//	GET    /_localcloud/operations  what can be called, and whether it only reads
//	GET    /_localcloud/permissions?role=NAME   what of a role's policies was used, and what they refused
//	GET, POST, DELETE /_localcloud/faults     what goes wrong: read, add one, lift all
//	DELETE /_localcloud/faults/NAME           lifts one
//	GET    /_localcloud/eks/pod-identity/REGION/CLUSTER   keys for the token in Authorization, as a node's agent gives them
func (c *Cloud) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+adminPath+"profile", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, profileOf(c.clock))
	})
	mux.HandleFunc("GET "+adminPath+"inventory", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, c.services.inventory())
	})
	mux.HandleFunc("GET "+adminPath+"calls", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, c.calls.report())
	})
	mux.HandleFunc("DELETE "+adminPath+"calls", func(w http.ResponseWriter, _ *http.Request) {
		c.calls.reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET "+adminPath+"operations", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, c.wire.Operations())
	})
	mux.HandleFunc("GET "+adminPath+"permissions", c.reportPermissions)
	for _, path := range []string{adminPath + "faults", adminPath + "faults/{name}"} {
		mux.Handle(path, c.faults.Handler(adminPath+"faults"))
	}
	mux.Handle(eks.WebhookPath, c.services.eks.Webhook())
	mux.Handle("GET "+eks.PodIdentityPath, c.services.eks.PodIdentity())
	mux.Handle(eks.NetworkPath, c.services.eks.Network())
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(v) //nolint:errcheck // the client is gone
}

// profile is the answer about durations, in seconds.
type profile struct {
	Speed  float64                `json:"speed"`
	Real   map[clock.Step]float64 `json:"awsSeconds"`
	Scaled map[clock.Step]float64 `json:"seconds"`
}

func profileOf(c *clock.Clock) profile {
	p := profile{Speed: c.Speed(), Real: map[clock.Step]float64{}, Scaled: map[clock.Step]float64{}}
	for step, d := range c.Durations() {
		p.Real[step] = d.Seconds()
		p.Scaled[step] = c.Duration(step).Seconds()
	}
	return p
}

// callLog counts calls. It remembers nothing else of them.
type callLog struct {
	mu     sync.Mutex
	counts map[callKind]*callCount
}

type callKind struct {
	service, operation string
	mutating           bool
}

type callCount struct {
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Mutating  bool   `json:"mutating"`
	Count     int    `json:"count"`
	Failed    int    `json:"failed"` // of Count: answered with an error
}

// callReport is the answer about calls. A mutating call counts as such even
// when it failed.
type callReport struct {
	Total    int         `json:"total"`
	Mutating int         `json:"mutating"`
	Calls    []callCount `json:"calls"`
}

func newCallLog() *callLog { return &callLog{counts: map[callKind]*callCount{}} }

func (l *callLog) add(c wire.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind := callKind{c.Service, c.Operation, !c.ReadOnly}
	n := l.counts[kind]
	if n == nil {
		n = &callCount{Service: c.Service, Operation: c.Operation, Mutating: !c.ReadOnly}
		l.counts[kind] = n
	}
	n.Count++
	if c.Status >= http.StatusMultipleChoices {
		n.Failed++
	}
}

func (l *callLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.counts)
}

func (l *callLog) report() callReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := callReport{Calls: []callCount{}}
	for _, n := range l.counts {
		r.Total += n.Count
		if n.Mutating {
			r.Mutating += n.Count
		}
		r.Calls = append(r.Calls, *n)
	}
	slices.SortFunc(r.Calls, func(a, b callCount) int {
		return strings.Compare(a.Service+":"+a.Operation, b.Service+":"+b.Operation)
	})
	return r
}
