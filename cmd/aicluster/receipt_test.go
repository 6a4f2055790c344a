package main

import (
	"testing"

	"aicluster/provision/engine"
	"aicluster/provision/orphans"
)

func TestTheSearchCompletesTheReceipt(t *testing.T) {
	base := engine.Receipt{
		Deleted: []engine.ReceiptLine{{Resource: "nat-gateway/us-west-2a", Detail: "nat-1, eipalloc-1"}, {Resource: "volume/vol-1", Detail: "vol-1, 20 GiB"}},
		Kept:    []engine.ReceiptLine{{Resource: "bucket/weights", Detail: "s3://weights", Reason: "holds model weights"}},
		Left:    []engine.ReceiptLine{{Resource: "vpc/demo", Detail: "vpc-1, 10.42.0.0/16", Reason: "not tried"}},
	}
	tests := map[string]struct {
		thing        orphans.Thing
		deleteModels bool
		kept, left   int
		deleted      int
	}{
		"what is kept already":               {thing: orphans.Thing{Kind: "bucket", ID: "weights", Data: true}, deleted: 2, kept: 1, left: 1},
		"what is left already":               {thing: orphans.Thing{Kind: "vpc", ID: "vpc-1"}, deleted: 2, kept: 1, left: 1},
		"what nobody knew of":                {thing: orphans.Thing{Kind: "network-interface", ID: "eni-1"}, deleted: 2, kept: 1, left: 2},
		"what was called deleted":            {thing: orphans.Thing{Kind: "elastic-ip", ID: "eipalloc-1"}, deleted: 1, kept: 1, left: 2},
		"data that was called deleted":       {thing: orphans.Thing{Kind: "volume", ID: "vol-1", Data: true}, deleted: 1, kept: 1, left: 2},
		"somebody else's":                    {thing: orphans.Thing{Kind: "instance", ID: "i-1", Foreign: true}, deleted: 2, kept: 2, left: 1},
		"data":                               {thing: orphans.Thing{Kind: "snapshot", ID: "snap-1", Data: true}, deleted: 2, kept: 2, left: 1},
		"another bucket, kept":               {thing: orphans.Thing{Kind: "bucket", ID: "old", Data: true}, deleted: 2, kept: 2, left: 1},
		"another bucket, with the models":    {thing: orphans.Thing{Kind: "bucket", ID: "old", Data: true}, deleteModels: true, deleted: 2, kept: 1, left: 2},
		"an id that another one begins with": {thing: orphans.Thing{Kind: "vpc", ID: "vpc-"}, deleted: 2, kept: 1, left: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := engine.Receipt{Deleted: append([]engine.ReceiptLine(nil), base.Deleted...), Kept: append([]engine.ReceiptLine(nil), base.Kept...), Left: append([]engine.ReceiptLine(nil), base.Left...)}
			tt.thing.CostPerHour, tt.thing.Remove = 0.5, "aws …"
			enter(&r, tt.thing, tt.deleteModels)
			if len(r.Deleted) != tt.deleted || len(r.Kept) != tt.kept || len(r.Left) != tt.left {
				t.Errorf("%+v", r)
			}
			if got := costOf(append(r.Kept, r.Left...)); got != 0.5 {
				t.Errorf("costs %v", got)
			}
		})
	}
}

func TestTeardownGoesOnFromNews(t *testing.T) {
	for name, tt := range map[string]struct {
		step  engine.Step
		tried string
		want  bool
	}{
		"was not seen before":  {engine.Step{Resource: "subnet/a", Observation: engine.Observation{Exists: true}}, "vpc/demo", true},
		"is there again":       {engine.Step{Resource: "log-group/demo", Observation: engine.Observation{Exists: true}}, "", true},
		"could not be deleted": {engine.Step{Resource: "vpc/demo", Observation: engine.Observation{Exists: true}}, "vpc/demo", false},
		"is to be kept":        {engine.Step{Resource: "bucket/weights", Observation: engine.Observation{Exists: true, Keep: "it holds models"}}, "", false},
		"is not there":         {engine.Step{Resource: "subnet/a"}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hasNews(&engine.Plan{Steps: []engine.Step{tt.step}}, []engine.ReceiptLine{{Resource: tt.tried}}); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestRoundsShareOneReceipt(t *testing.T) {
	earlier := []engine.ReceiptLine{{Resource: "cluster/demo"}, {Resource: "log-group/demo"}, {Resource: "vpc/demo"}}
	got := andBefore(engine.Receipt{Deleted: []engine.ReceiptLine{{Resource: "vpc/demo"}}, Left: []engine.ReceiptLine{{Resource: "log-group/demo"}}}, earlier)
	if len(got.Deleted) != 2 || got.Deleted[0].Resource != "cluster/demo" || got.Deleted[1].Resource != "vpc/demo" || len(got.Left) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestEmptyReceipt: its JSON has lists, also when nothing was deleted.
func TestEmptyReceipt(t *testing.T) {
	got := andBefore(engine.Receipt{Deleted: []engine.ReceiptLine{}, Left: []engine.ReceiptLine{{Resource: "vpc/demo"}}}, nil)
	if got.Deleted == nil {
		t.Error("null in JSON")
	}
}
