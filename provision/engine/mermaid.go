package engine

import (
	"fmt"
	"slices"
	"strings"
)

// Mermaid draws a plan as a Mermaid flowchart: resources, what they need, and
// what would be done to each.
func (p *Plan) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	index := make(map[string]int, len(p.Steps))
	drawn := slices.DeleteFunc(slices.Clone(p.Steps), func(s Step) bool { // not there, and not to be
		return s.Action == ActionNone && !s.Exists && s.Err == nil && s.Unknown == ""
	})
	for i, s := range drawn {
		index[s.Resource] = i
		label := s.Resource
		if s.Action != ActionNone {
			label += "<br/>" + string(s.Action)
		}
		fmt.Fprintf(&b, "  r%d[\"%s\"]:::%s\n", i, label, s.Action)
	}
	for i, s := range drawn {
		for _, need := range s.Needs {
			if j, ok := index[need]; ok {
				fmt.Fprintf(&b, "  r%d --> r%d\n", j, i)
			}
		}
	}
	for _, class := range []struct{ action, fill string }{
		{"none", "#eeeeee"}, {"create", "#c8e6c9"}, {"update", "#fff3c4"}, {"replace", "#ffd8a8"}, {"delete", "#ffc9c9"}, {"verify", "#d0ebff"},
	} {
		fmt.Fprintf(&b, "  classDef %s fill:%s,stroke:#555,color:#111\n", class.action, class.fill)
	}
	return b.String()
}
