package network

import (
	"context"
	"maps"
	"time"

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
func (p *part) forget()                           { p.id, p.live = "", nil }

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
	_, err := p.api.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{p.id}, Tags: cloud.EC2Tags(set)})
	if err != nil {
		return p.wrap("tagging it", err)
	}
	maps.Copy(p.live, set)
	return nil
}

func (p *part) wrap(doing string, err error) error { return cloud.Wrap(p.ID(), doing, err) }

// once makes EC2 calls that have no idempotency token safe: the SDK is not to
// repeat them by itself ([cloud.CreateOnce]).
func once(o *ec2.Options) { o.RetryMaxAttempts = 1 }

// settleLimit bounds how long EC2 may not know yet what it has just made.
const settleLimit = 30 * time.Second

// settled calls f until EC2 knows all that it refers to.
func settled(ctx context.Context, f func(context.Context) error) error {
	return cloud.RetryWhile(ctx, settleLimit, cloud.IsNotFound, f)
}
