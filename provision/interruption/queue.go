// Package interruption brings AWS's warnings that an instance is about to go to
// whom they concern: a rule of EventBridge puts them into a queue, which Karpenter
// reads.
package interruption

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"aicluster/provision/cloud"
	"aicluster/provision/engine"
)

// QueueAPI is what this package uses of SQS.
type QueueAPI interface {
	CreateQueue(context.Context, *sqs.CreateQueueInput, ...func(*sqs.Options)) (*sqs.CreateQueueOutput, error)
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	SetQueueAttributes(context.Context, *sqs.SetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.SetQueueAttributesOutput, error)
	ListQueueTags(context.Context, *sqs.ListQueueTagsInput, ...func(*sqs.Options)) (*sqs.ListQueueTagsOutput, error)
	TagQueue(context.Context, *sqs.TagQueueInput, ...func(*sqs.Options)) (*sqs.TagQueueOutput, error)
	DeleteQueue(context.Context, *sqs.DeleteQueueInput, ...func(*sqs.Options)) (*sqs.DeleteQueueOutput, error)
}

// maxName is EventBridge's limit for the name of a rule, in characters; SQS takes
// 80 for a queue.
const maxName = 64

// Name is the name of a cluster's queue and rule. One that is too long keeps its
// head and gets a hash.
func Name(cluster string) string {
	const suffix = "-karpenter"
	if len(cluster)+len(suffix) <= maxName {
		return cluster + suffix
	}
	sum := sha256.Sum256([]byte(cluster))
	tail := "-" + hex.EncodeToString(sum[:4]) + suffix
	return cluster[:maxName-len(tail)] + tail
}

// retention is how long a warning is kept, in seconds: the instance is gone by
// then (Karpenter's documentation, "CloudFormation").
const retention = "300"

// deletedLately bounds the wait for SQS to forget a queue of the name.
const deletedLately = 2 * time.Minute

// Queue is the SQS queue with the warnings.
type Queue struct {
	api      QueueAPI
	owner    cloud.Owner
	unwanted bool
	needs    []engine.Resource

	url        string // empty while it does not exist
	attributes map[string]string
	tags       map[string]string
}

// NewQueue makes the resource "queue/<name>".
func NewQueue(api QueueAPI, owner cloud.Owner) *Queue { return &Queue{api: api, owner: owner} }

// NewRemovedQueue is the queue when nobody reads it any more.
func NewRemovedQueue(api QueueAPI, owner cloud.Owner) *Queue {
	return &Queue{api: api, owner: owner, unwanted: true}
}

// ID implements [engine.Resource].
func (q *Queue) ID() string { return "queue/" + q.Name() }

// Needs implements [engine.Resource].
func (q *Queue) Needs() []engine.Resource { return q.needs }

// Need adds to what the queue needs, before a graph is made of it.
func (q *Queue) Need(more ...engine.Resource) { q.needs = append(q.needs, more...) }

// Unwanted implements [engine.Unwanted].
func (q *Queue) Unwanted() bool { return q.unwanted }

// Name is the queue's name in SQS.
func (q *Queue) Name() string { return Name(q.owner.Cluster) }

// ARN is the queue's ARN; empty while it does not exist.
func (q *Queue) ARN() string { return q.attributes[string(types.QueueAttributeNameQueueArn)] }

// Observe implements [engine.Resource].
func (q *Queue) Observe(ctx context.Context) (engine.Observation, error) {
	if err := q.read(ctx); err != nil {
		return engine.Observation{}, cloud.Wrap(q.ID(), "reading the queue", err)
	}
	if q.url == "" {
		return engine.Observation{}, nil
	}
	obs := engine.Observation{Exists: true, Detail: q.Name()}
	if owner := q.tags[cloud.TagCluster]; owner != q.owner.Cluster {
		obs.Keep = "it does not carry the tag " + cloud.TagCluster + "=" + q.owner.Cluster
		obs.Changes = []engine.Change{{
			Field: "tags." + cloud.TagCluster, Live: owner, Wanted: q.owner.Cluster, Policy: engine.PolicyRefused,
			Hint: "a queue named " + q.Name() + " exists that this cluster did not make: delete it, or name the cluster differently",
		}}
		return obs, nil
	}
	for name, value := range q.wanted() {
		if live := q.attributes[name]; !same(live, value) {
			obs.Changes = append(obs.Changes, engine.Change{Field: name, Live: live, Wanted: value, Policy: engine.PolicyInPlace})
		}
	}
	slices.SortFunc(obs.Changes, func(a, b engine.Change) int { return strings.Compare(a.Field, b.Field) })
	obs.Changes = append(obs.Changes, engine.TagChanges(q.tags, q.owner.Tags(""))...)
	return obs, nil
}

func (q *Queue) read(ctx context.Context) error {
	q.url, q.attributes, q.tags = "", nil, nil
	found, err := q.api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(q.Name())})
	if cloud.IsNotFound(err) || cloud.IsUnsupported(err) {
		return nil
	}
	if err != nil {
		return err
	}
	attributes, err := q.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: found.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if cloud.IsNotFound(err) { // it is being deleted
		return nil
	}
	if err != nil {
		return err
	}
	tags, err := q.api.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: found.QueueUrl})
	if cloud.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	q.url, q.attributes, q.tags = aws.ToString(found.QueueUrl), attributes.Attributes, tags.Tags
	return nil
}

// wanted are the attributes that the queue is to have. Its policy names the queue
// itself, and is known once the queue exists.
func (q *Queue) wanted() map[string]string {
	w := map[string]string{
		string(types.QueueAttributeNameMessageRetentionPeriod): retention,
		string(types.QueueAttributeNameSqsManagedSseEnabled):   "true",
	}
	if arn := q.ARN(); arn != "" {
		w[string(types.QueueAttributeNamePolicy)] = queuePolicy(arn, q.Name())
	}
	return w
}

// queuePolicy lets the rule, and nothing else of AWS's, send to the queue
// (EventBridge user guide, "Resource-based policies: Amazon SQS permissions").
func queuePolicy(arn, rule string) string {
	parts := strings.Split(arn, ":") // arn:aws:sqs:REGION:ACCOUNT:NAME
	source := fmt.Sprintf("arn:%s:events:%s:%s:rule/%s", parts[1], parts[3], parts[4], rule)
	text, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Sid": "Warnings", "Effect": "Allow", "Principal": map[string]any{"Service": "events.amazonaws.com"},
			"Action": "sqs:SendMessage", "Resource": arn, "Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": source}},
		}},
	})
	if err != nil {
		panic(fmt.Sprintf("a policy of strings cannot fail to marshal: %v", err))
	}
	return string(text)
}

// same compares values of attributes; a policy means the same however it is written.
func same(a, b string) bool {
	var x, y map[string]any
	if json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil {
		return reflect.DeepEqual(x, y)
	}
	return a == b
}

// Apply implements [engine.Resource].
func (q *Queue) Apply(ctx context.Context, p engine.Progress) error {
	if q.url == "" {
		if err := q.create(ctx, p); err != nil {
			return cloud.Wrap(q.ID(), "creating the queue", err)
		}
	}
	set := map[string]string{}
	for name, value := range q.wanted() {
		if !same(q.attributes[name], value) {
			set[name] = value
		}
	}
	if len(set) > 0 {
		if _, err := q.api.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &q.url, Attributes: set}); err != nil {
			return cloud.Wrap(q.ID(), "setting the queue's attributes", err)
		}
	}
	if tags := cloud.TagChanges(q.tags, q.owner.Tags("")); len(tags) > 0 {
		if _, err := q.api.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &q.url, Tags: tags}); err != nil {
			return cloud.Wrap(q.ID(), "tagging the queue", err)
		}
	}
	return nil
}

// create makes the queue. Asked again, SQS answers with the one that is there.
func (q *Queue) create(ctx context.Context, p engine.Progress) error {
	in := &sqs.CreateQueueInput{QueueName: aws.String(q.Name()), Attributes: q.wanted(), Tags: q.owner.Tags("")}
	start := time.Now()
	lately := func(err error) bool {
		again := cloud.IsDeletedLately(err) && time.Since(start) < deletedLately
		if again {
			p("waiting: SQS takes the name of a deleted queue again after a minute")
		}
		return again
	}
	if err := cloud.RetryWhile(ctx, deletedLately, lately, func(ctx context.Context) error {
		_, err := q.api.CreateQueue(ctx, in)
		return err
	}); err != nil {
		return err
	}
	return cloud.WaitListed(ctx, func(ctx context.Context) (bool, error) {
		err := q.read(ctx)
		return q.url != "", err
	})
}

// Delete implements [engine.Resource].
func (q *Queue) Delete(ctx context.Context, _ engine.Progress) error {
	if q.url == "" {
		return nil
	}
	_, err := q.api.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &q.url})
	if err != nil && !cloud.IsNotFound(err) {
		return cloud.Wrap(q.ID(), "deleting the queue", err)
	}
	q.url, q.attributes, q.tags = "", nil, nil
	return nil
}
