// Package sqs plays what clusters need of Amazon SQS: standard queues, with their
// policies, and messages that are received, hidden for a while and deleted.
package sqs

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/wire"
)

// Service is SQS of all regions.
type Service struct {
	clock *clock.Clock

	mu      sync.Mutex
	queues  map[key]*queue
	deleted map[key]time.Time // when a queue of the name was deleted
}

type key struct{ region, name string }

func (k key) arn() string { return "arn:aws:sqs:" + k.region + ":" + wire.AccountID + ":" + k.name }

func (k key) url() string {
	return "https://sqs." + k.region + ".amazonaws.com/" + wire.AccountID + "/" + k.name
}

type queue struct {
	created    time.Time
	modified   time.Time
	attributes map[string]string // as set or by default
	tags       map[string]string
	messages   []*message
	news       chan struct{} // closed and replaced when a message comes
}

type message struct {
	id, body string
	sent     time.Time
	visible  time.Time
	received int
	first    time.Time // when it was received first
	receipt  string    // of the last receipt
}

// New returns a service without queues.
func New(c *clock.Clock) *Service {
	return &Service{clock: c, queues: map[key]*queue{}, deleted: map[key]time.Time{}}
}

// Register adds the operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("sqs", "sqs", goFiles)
	wire.Handle(w, "sqs", s.createQueue)
	wire.Handle(w, "sqs", s.deleteQueue)
	wire.Handle(w, "sqs", s.getQueueURL)
	wire.Handle(w, "sqs", s.getQueueAttributes)
	wire.Handle(w, "sqs", s.setQueueAttributes)
	wire.Handle(w, "sqs", s.listQueues)
	wire.Handle(w, "sqs", s.tagQueue)
	wire.Handle(w, "sqs", s.untagQueue)
	wire.Handle(w, "sqs", s.listQueueTags)
	wire.Handle(w, "sqs", s.sendMessage)
	wire.Handle(w, "sqs", s.receiveMessage)
	wire.Handle(w, "sqs", s.deleteMessage)
}

// Inventory lists the queues, sorted, as "sqs/queue region name".
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for k := range s.queues {
		list = append(list, fmt.Sprintf("sqs/queue %s %s", k.region, k.name))
	}
	slices.Sort(list)
	return list
}

// Deliver puts a message of an AWS service into the queue of that ARN, if the
// queue's policy lets the service. source is what the service acts for.
func (s *Service) Deliver(region, arn, service, source, body string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, q := range s.queues {
		if k.region != region || k.arn() != arn {
			continue
		}
		keys := iam.Context{}
		keys.Set("aws:SourceArn", source)
		keys.Set("aws:SourceAccount", wire.AccountID)
		if !iam.LetsService(q.attributes[policy], service, iam.Request{Action: "sqs:SendMessage", Resource: arn, Context: keys}) {
			return false
		}
		q.put(body)
		return true
	}
	return false
}

func invalidAttribute(name string) error {
	return &types.InvalidAttributeValue{Message: aws.String("Invalid value for the parameter " + name + ".")}
}

func invalidParameter(format string, args ...any) error {
	return &wire.Error{Code: "InvalidParameterValue", Message: fmt.Sprintf(format, args...)}
}

// Codes of the query protocol, which clients still see (API reference, errors of
// CreateQueue and GetQueueUrl).
const (
	codeMissing = "AWS.SimpleQueueService.NonExistentQueue"
	codeExists  = "QueueAlreadyExists"
	codeRecent  = "AWS.SimpleQueueService.QueueDeletedRecently"
)

func missing() error {
	return &types.QueueDoesNotExist{Message: aws.String("The specified queue does not exist."), ErrorCodeOverride: aws.String(codeMissing)}
}

// forgets is how long SQS keeps the name of a deleted queue (API reference,
// CreateQueue, QueueDeletedRecently).
const forgets = time.Minute

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)
