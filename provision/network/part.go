package network

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// part is what all resources of a network have in common: how it is named and
// tagged, and its id once it exists.
type part struct {
	api   API
	owner cloud.Owner
	kind  string            // of the engine's id: "subnet"
	short string            // of the engine's id: "private-ap-northeast-2a"
	name  string            // the Name tag
	extra map[string]string // further tags
	needs []engine.Resource

	id   string            // AWS's; empty while it does not exist
	more []string          // ids of others of the same name, which a run made that died at once
	live map[string]string // tags
}

// ID implements [engine.Resource].
func (p *part) ID() string { return p.kind + "/" + p.short }

// Needs implements [engine.Resource].
func (p *part) Needs() []engine.Resource { return p.needs }

// tags are the wanted tags.
func (p *part) tags() map[string]string {
	tags := p.owner.Tags(p.name)
	maps.Copy(tags, p.extra)
	return tags
}

// filters find the resource again.
func (p *part) filters() []types.Filter { return p.owner.OwnedFilters(p.name) }

func (p *part) spec(kind types.ResourceType) []types.TagSpecification {
	return cloud.EC2TagSpec(kind, p.tags())
}

// found keeps what exists; forget that nothing does.
func (p *part) found(id string, tags []types.Tag) { p.id, p.live = id, cloud.FromEC2(tags) }
func (p *part) forget()                           { p.id, p.more, p.live = "", nil, nil }

// made keeps the id of what was just created, with the tags of the create call.
func (p *part) made(id string) { p.id, p.live = id, p.tags() }

// tagChanges lists the tags that are missing or differ.
func (p *part) tagChanges() []engine.Change {
	return engine.TagChanges(p.live, p.tags())
}

// fixTags sets the tags that are missing or differ.
func (p *part) fixTags(ctx context.Context) error {
	set := cloud.TagChanges(p.live, p.tags())
	if len(set) == 0 {
		return nil
	}
	if err := p.tag(ctx, p.id, set); err != nil {
		return p.wrap("tagging it", err)
	}
	maps.Copy(p.live, set)
	return nil
}

func (p *part) tag(ctx context.Context, id string, tags map[string]string) error {
	return cloud.Settled(ctx, func(ctx context.Context) error {
		_, err := p.api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: cloud.EC2Tags(tags)})
		return err
	})
}

func (p *part) wrap(doing string, err error) error { return cloud.Wrap(p.ID(), doing, err) }

// choose tells which, of all that bear the name and tags of a resource, is the
// one, and which are to go. There is more than one when a run died right after a
// create call: for a moment EC2 does not list what it made, and the next run makes
// another. It is the one that is used, else mine, which this run made, else the first.
func choose(ids []string, mine string, used func(id string) bool) (one string, others []string) {
	if len(ids) == 0 {
		return "", nil
	}
	at := max(0, slices.Index(ids, mine))
	if i := slices.IndexFunc(ids, used); i >= 0 {
		at = i
	}
	return ids[at], slices.Delete(slices.Clone(ids), at, at+1)
}

// doubles lists the others of the same name as a change: they go.
func (p *part) doubles() []engine.Change {
	if len(p.more) == 0 {
		return nil
	}
	return []engine.Change{{Field: "doubles", Live: strings.Join(p.more, ", "), Policy: engine.PolicyInPlace}}
}

// listing is what is said while something new is not seen yet.
const listing = "waiting until EC2 lists %s"

// once makes EC2 calls that have no idempotency token safe: the SDK is not to
// repeat them by itself ([cloud.CreateOnce]).
func once(o *ec2.Options) { o.RetryMaxAttempts = 1 }
