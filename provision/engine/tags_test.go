package engine

import (
	"reflect"
	"testing"
)

func TestTagChangesAreOneATag(t *testing.T) {
	live := map[string]string{"aicluster/cluster": "demo", "team": "web", "theirs": "x"}
	wanted := map[string]string{"aicluster/cluster": "demo", "team": "ml", "cost": "1"}
	want := []Change{
		{Field: "metadata.tags.cost", Wanted: "1", Policy: PolicyInPlace},
		{Field: "metadata.tags.team", Live: "web", Wanted: "ml", Policy: PolicyInPlace},
	}
	if got := TagChanges(live, wanted); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := TagChanges(live, map[string]string{"aicluster/cluster": "demo"}); got != nil {
		t.Errorf("tags of others: %+v", got)
	}
}
