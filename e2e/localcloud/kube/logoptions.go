package kube

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// logOptions are the query parameters of containerLogs, which are those of PodLogOptions.
type logOptions struct {
	follow, timestamps bool
	tail, limit        int64 // negative: all
	since              time.Time
}

func parseLogOptions(q url.Values) (logOptions, error) {
	o := logOptions{tail: -1, limit: -1}
	o.follow, _ = strconv.ParseBool(q.Get("follow"))
	o.timestamps, _ = strconv.ParseBool(q.Get("timestamps"))
	seconds := int64(-1)
	for name, to := range map[string]*int64{"tailLines": &o.tail, "limitBytes": &o.limit, "sinceSeconds": &seconds} {
		if q.Get(name) == "" {
			continue
		}
		n, err := strconv.ParseInt(q.Get(name), 10, 64)
		if err != nil || n < 0 {
			return o, fmt.Errorf("%s: %q is not a number of zero or more", name, q.Get(name))
		}
		*to = n
	}
	if seconds >= 0 {
		o.since = time.Now().Add(-time.Duration(seconds) * time.Second)
	}
	if s := q.Get("sinceTime"); s != "" {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return o, fmt.Errorf("sinceTime: %w", err)
		}
		o.since = t
	}
	return o, nil
}

// apply cuts and stamps a log whose lines were all written at one time.
func (o logOptions) apply(text string, written time.Time) string {
	if text == "" {
		return ""
	}
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n")+"\n", "\n")
	lines = lines[:len(lines)-1]
	if o.tail >= 0 {
		lines = lines[max(0, len(lines)-int(o.tail)):]
	}
	if o.timestamps {
		stamp := written.UTC().Format(time.RFC3339Nano) + " "
		for i := range lines {
			lines[i] = stamp + lines[i]
		}
	}
	out := strings.Join(lines, "")
	if o.limit >= 0 {
		out = out[:min(int64(len(out)), o.limit)]
	}
	return out
}
