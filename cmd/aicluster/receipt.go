package main

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/cloud"
	"aicluster/provision/engine"
	"aicluster/provision/orphans"
)

// search is the independent search for what is the cluster's.
func (s *session) search() *orphans.Search {
	c, m := s.clients, s.blueprint.Metadata
	return &orphans.Search{EC2: c.EC2, EKS: c.EKS, IAM: c.IAM, Logs: c.Logs, AutoScaling: c.AutoScaling, ELB: c.ELB, Classic: c.ClassicELB, S3: c.S3, EFS: c.EFS, Queues: c.SQS, Rules: c.Events, Cluster: m.Name, Region: m.Region}
}

// sightLimit is for how long EC2's lists are behind, as a rule. A search that begins
// sooner after the command's start may miss what another run made just before that.
const sightLimit = 5 * time.Second

// judge has the search look for anything that the receipt does not account for,
// and adds it. It waits for what may still go by itself, unless something is left
// anyway. An account that could not be searched is one that may hold more. It tells
// whether there is something that the teardown did not know of and has to go.
func (s *session) judge(ctx context.Context, r *engine.Receipt, progress ui.Progress) (more bool) {
	id, start := "search/"+s.blueprint.Metadata.Name, time.Now()
	tell := func(state engine.State, message string) {
		progress.Event(engine.Event{Time: time.Now(), Resource: id, Action: engine.ActionVerify, State: state, Message: message, Elapsed: time.Since(start)})
	}
	tell(engine.Started, "")
	if rest := sightLimit - time.Since(s.start); rest > 0 {
		tell(engine.Running, "waiting until EC2 lists what was made just before this")
		_ = cloud.Sleep(ctx, rest) // an interruption ends the search, too
	}
	found, err := s.search().Settled(ctx,
		func(t orphans.Thing) bool {
			return len(r.Left) > 0 || keepFound(*r, t, s.deleteModels) != "" || accountedFor(*r, t)
		},
		func(t orphans.Thing) { tell(engine.Running, "waiting for "+t.Name()+" to go") })
	for _, t := range found {
		more = enter(r, t, s.deleteModels) || more
	}
	if err != nil {
		r.Left = append(r.Left, engine.ReceiptLine{Resource: id, Reason: "there may be more: " + ui.Failures(err)[0].Message})
		progress.Event(engine.Event{Time: time.Now(), Resource: id, Action: engine.ActionVerify, State: engine.Failed, Err: err, Elapsed: time.Since(start)})
		return more
	}
	tell(engine.Succeeded, "")
	return more
}

// accountedFor tells that a receipt says already that a thing is still there.
func accountedFor(r engine.Receipt, t orphans.Thing) bool {
	return slices.ContainsFunc(slices.Concat(r.Kept, r.Left), func(l engine.ReceiptLine) bool { return about(l, t) })
}

// about tells that a receipt's line is about a thing: it has its name, or its
// detail has its id.
func about(l engine.ReceiptLine, t orphans.Thing) bool {
	if l.Resource == t.Name() {
		return true
	}
	words := detailWords(l.Detail)
	return slices.Contains(words, t.ID) || slices.Contains(words, "s3://"+t.ID)
}

// detailWords takes a resource's detail apart: "nat-1, eipalloc-1".
func detailWords(detail string) []string {
	return strings.FieldsFunc(detail, func(c rune) bool { return c == ' ' || c == ',' || c == ';' })
}

// enter puts a thing that the search found into the receipt. What the receipt
// tells already gets its price and the way to remove it; the rest is left, unless
// it is somebody else's or holds data. What was called deleted is not. It tells
// whether the thing is left and the receipt did not say so.
func enter(r *engine.Receipt, t orphans.Thing, deleteModels bool) bool {
	for _, lines := range [][]engine.ReceiptLine{r.Kept, r.Left} {
		if i := slices.IndexFunc(lines, func(l engine.ReceiptLine) bool { return about(l, t) }); i >= 0 {
			lines[i].CostPerHour, lines[i].Remove = t.CostPerHour, t.Remove
			return false
		}
	}
	line := engine.ReceiptLine{Resource: t.Name(), Detail: strings.TrimSuffix(t.ID+", "+t.Detail, ", "), Reason: keepFound(*r, t, deleteModels), CostPerHour: t.CostPerHour, Remove: t.Remove}
	if line.Reason != "" {
		r.Kept = append(r.Kept, line)
		return false
	}
	line.Reason = "the search found it: " + t.Why
	r.Deleted = slices.DeleteFunc(r.Deleted, func(l engine.ReceiptLine) bool { return about(l, t) })
	r.Left = append(r.Left, line)
	return true
}

// keepFound says why a teardown leaves a thing alone that only the search knows;
// empty if it does not, as with a volume that it has deleted and AWS still shows.
func keepFound(r engine.Receipt, t orphans.Thing, deleteModels bool) string {
	deleted := slices.ContainsFunc(r.Deleted, func(l engine.ReceiptLine) bool { return about(l, t) })
	switch {
	case t.Foreign:
		return "it is not this cluster's: " + t.Why
	case deleted:
		return ""
	case t.Data && (t.Kind != "bucket" || !deleteModels):
		return "it holds data of the cluster's: " + t.Why
	}
	return ""
}

// andBefore adds to a receipt what earlier rounds of the same teardown deleted.
func andBefore(r engine.Receipt, deleted []engine.ReceiptLine) engine.Receipt {
	all := slices.Concat(r.Deleted, r.Kept, r.Left)
	earlier := slices.DeleteFunc(slices.Clone(deleted), func(l engine.ReceiptLine) bool {
		return slices.ContainsFunc(all, func(now engine.ReceiptLine) bool { return now.Resource == l.Resource })
	})
	r.Deleted = append(append([]engine.ReceiptLine{}, earlier...), r.Deleted...) // in JSON a list, also when it is empty
	return r
}

// costOf adds up what lines of a receipt cost, in US dollars an hour.
func costOf(lines []engine.ReceiptLine) float64 {
	sum := 0.0
	for _, l := range lines {
		sum += l.CostPerHour
	}
	return math.Round(sum*1e6) / 1e6 // no price is finer
}

// receiptLine is the JSON line before the summary of a teardown.
type receiptLine struct {
	Type string `json:"type"` // "receipt"
	engine.Receipt
}

func (s *session) finishTeardown(ctx context.Context, r engine.Result, receipt engine.Receipt) {
	cost := costOf(slices.Concat(receipt.Left, receipt.Kept))
	if r.Interrupted { // nothing was searched
		cost = s.costNow(ctx).Total()
	}
	if s.console.JSON {
		_ = s.console.Line(receiptLine{"receipt", receipt})
		_ = s.console.Summary(s.summaryLine("teardown", r, cost))
		return
	}
	if err := r.Err(); err != nil {
		s.console.ShowError(err)
	}
	s.showReceipt(receipt)
	elapsed := ui.Duration(time.Since(s.start))
	at := func(words string) string {
		if cost == 0 {
			return ""
		}
		return words + ui.Dollars(cost)
	}
	switch {
	case len(receipt.Left) > 0:
		s.say("not everything is gone after %s%s", elapsed, at("; what is there costs up to "))
		s.console.Hint("run the same command again; it goes on from here")
	case len(receipt.Deleted) == 0:
		s.say("there was nothing to delete: %s does not exist", s.target())
	default:
		s.say("%s is gone after %s: %d deleted, %d kept%s", s.target(), elapsed, len(receipt.Deleted), len(receipt.Kept), at(", at "))
	}
}

func (s *session) showReceipt(r engine.Receipt) {
	for _, part := range []struct {
		word  string
		lines []engine.ReceiptLine
	}{{"deleted", r.Deleted}, {"kept", r.Kept}, {"left", r.Left}} {
		for _, l := range part.lines {
			s.console.Data("%-8s %s %s", part.word, s.console.Name(l.Resource), joined(l.Detail, l.Reason)+costWords(l.CostPerHour))
			if l.Remove != "" {
				s.console.Data("         remove it: %s", l.Remove)
			}
		}
	}
}

// costWords is what something costs, with as many digits as it takes.
func costWords(perHour float64) string {
	if perHour == 0 {
		return ""
	}
	return " (" + ui.Dollars(perHour) + ")"
}

func joined(detail, reason string) string {
	if detail == "" || reason == "" {
		return detail + reason
	}
	return detail + ": " + reason
}
