package server

import (
	"net/http"
	"slices"
	"sync"

	"aicluster/e2e/localcloud/iam"
)

// usage remembers of each role what was made use of in its policies, and what
// they refused. The zero value is ready to use.
type usage struct {
	mu    sync.Mutex
	roles map[string]*roleUsage
}

type roleUsage struct {
	used   map[iam.Element]bool
	denied []string // "ACTION on RESOURCE", each once
}

// of is a role's record; u.mu is held.
func (u *usage) of(role string) *roleUsage {
	r := u.roles[role]
	if r == nil {
		if u.roles == nil {
			u.roles = map[string]*roleUsage{}
		}
		r = &roleUsage{used: map[iam.Element]bool{}, denied: []string{}}
		u.roles[role] = r
	}
	return r
}

func (u *usage) allow(role string, elements []iam.Element) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, e := range elements {
		u.of(role).used[e] = true
	}
}

func (u *usage) deny(role string, r iam.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	text := r.Action + " on " + r.Resource
	if record := u.of(role); !slices.Contains(record.denied, text) {
		record.denied = append(record.denied, text)
	}
}

// permissionReport is the answer about a role's policies as they are now. Their
// elements are written as "SID Action ec2:CreateVpc", and likewise for resources
// and values of conditions; nothing with a wildcard is expanded.
type permissionReport struct {
	Role   string   `json:"role"`
	Used   []string `json:"used"`
	Unused []string `json:"unused"`
	Denied []string `json:"denied"`
}

func (c *Cloud) reportPermissions(w http.ResponseWriter, r *http.Request) {
	role := r.URL.Query().Get("role")
	if _, ok := c.services.iam.Role(role); !ok {
		http.Error(w, "there is no role "+role, http.StatusNotFound)
		return
	}
	elements := c.services.iam.Elements(role)
	c.usage.mu.Lock()
	defer c.usage.mu.Unlock()
	record := c.usage.of(role)
	report := permissionReport{Role: role, Used: []string{}, Unused: []string{}, Denied: slices.Clone(record.denied)}
	for _, e := range elements {
		if record.used[e] {
			report.Used = append(report.Used, e.String())
		} else {
			report.Unused = append(report.Unused, e.String())
		}
	}
	slices.Sort(report.Used)
	slices.Sort(report.Unused)
	writeJSON(w, report)
}
