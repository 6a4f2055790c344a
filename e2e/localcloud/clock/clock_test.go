package clock

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSpeedAndProfile(t *testing.T) {
	c := New(60).With(map[Step]time.Duration{EC2Visible: 3 * time.Minute})
	for step, want := range map[Step]time.Duration{EC2Visible: 3 * time.Second, ClusterCreate: 9 * time.Second} {
		if got := c.Duration(step); got != want {
			t.Errorf("%s takes %s, want %s", step, got, want)
		}
	}
	if got := c.Durations()[EC2Visible]; got != 3*time.Minute {
		t.Errorf("at speed 1 it takes %s", got)
	}
	if got := New(0).Duration(EC2Visible); got != time.Second {
		t.Errorf("without a speed it takes %s", got)
	}
}

func TestRead(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"ec2.visible": "5s", "eks.cluster.create": "90s"}`, ""},
		{`{}`, ""},
		{"{\n\"ec2.visible\": \"5s\",\n}", "profile.json:3: "},
		{"{\n\"ec2.visible\": 5}", "profile.json:2: "},
		{`{"ec2.visibel": "5s"}`, `no step "ec2.visibel"`},
		{`{"ec2.visible": "5"}`, `ec2.visible: "5" is no duration, such as 1.5s`},
		{`{"ec2.visible": "-5s"}`, `ec2.visible: "-5s" is no duration`},
	} {
		file := filepath.Join(t.TempDir(), "profile.json")
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(file)
		switch {
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: error %v, want %s", test.text, err, test.want)
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.text, err)
		case test.want == "" && len(got) > 0 && !maps.Equal(got, map[Step]time.Duration{EC2Visible: 5 * time.Second, ClusterCreate: 90 * time.Second}):
			t.Errorf("%s: read %v", test.text, got)
		}
	}
}
