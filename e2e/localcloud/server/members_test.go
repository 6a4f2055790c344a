package server

import "testing"

// TestMembersAreJudged: of every operation it is known which members of its input
// are honoured; a request with any other is refused. A service says so when it is
// registered, with wire.Server.Honours.
func TestMembersAreJudged(t *testing.T) {
	c, _ := startCloud(t)
	for _, operation := range c.wire.Unjudged() {
		t.Errorf("%s: its service does not say what it honours", operation)
	}
}
