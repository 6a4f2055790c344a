package sqs

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
)

// put adds a message; the service's mutex is held.
func (q *queue) put(body string) *message {
	m := &message{id: uuid.NewString(), body: body, sent: time.Now(), visible: time.Now()}
	q.messages = append(q.messages, m)
	close(q.news)
	q.news = make(chan struct{})
	return m
}

// count counts the messages that are hidden since somebody received them, or the others.
func (q *queue) count(hidden bool) int {
	n := 0
	for _, m := range q.messages {
		if time.Now().Before(m.visible) == hidden {
			n++
		}
	}
	return n
}

// number is an attribute as a duration.
func (q *queue) seconds(attribute string) time.Duration {
	n, _ := strconv.Atoi(q.attributes[attribute]) // checked when it was set
	return time.Duration(n) * time.Second
}

// expire drops what was kept as long as the queue keeps messages.
func (q *queue) expire() {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return time.Since(m.sent) > q.seconds(retention) })
}

func digest(body string) *string {
	sum := md5.Sum([]byte(body)) // what SQS's replies carry
	return aws.String(hex.EncodeToString(sum[:]))
}

func (s *Service) sendMessage(ctx context.Context, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if limit, _ := strconv.Atoi(q.attributes[size]); len(*in.MessageBody) > limit || *in.MessageBody == "" {
		return nil, invalidParameter("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", limit)
	}
	m := q.put(*in.MessageBody)
	return &sqs.SendMessageOutput{MessageId: &m.id, MD5OfMessageBody: digest(m.body)}, nil
}

// receiveMessage hands out messages and hides them for a while. With a wait it
// answers when the first message comes, or the wait is over: time of the client's,
// which no speed divides.
func (s *Service) receiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	most := in.MaxNumberOfMessages
	if most == 0 {
		most = 1
	}
	if most < 1 || most > 10 {
		return nil, invalidParameter("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", most)
	}
	if in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > 20 {
		return nil, invalidParameter("Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", in.WaitTimeSeconds)
	}
	if in.VisibilityTimeout < 0 || in.VisibilityTimeout > 43200 {
		return nil, invalidParameter("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.", in.VisibilityTimeout)
	}
	_ = in.MessageAttributeNames // messages of AWS's services have none
	deadline := time.Now().Add(time.Duration(in.WaitTimeSeconds) * time.Second)
	for {
		out, news, err := s.take(ctx, in, int(most))
		rest := time.Until(deadline)
		if err != nil || len(out.Messages) > 0 || rest <= 0 {
			return out, err
		}
		timer := time.NewTimer(min(rest, time.Second)) // a hidden one may show again
		select {
		case <-news:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
		timer.Stop()
	}
}

// take hands out what can be seen now, and how to hear of more.
func (s *Service) take(ctx context.Context, in *sqs.ReceiveMessageInput, most int) (*sqs.ReceiveMessageOutput, chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, nil, err
	}
	q.expire()
	hide := q.seconds(visibility)
	if in.VisibilityTimeout > 0 {
		hide = time.Duration(in.VisibilityTimeout) * time.Second
	}
	out := &sqs.ReceiveMessageOutput{}
	for _, m := range q.messages {
		if len(out.Messages) == most || time.Now().Before(m.visible) {
			continue
		}
		if m.received++; m.received == 1 {
			m.first = time.Now()
		}
		m.visible, m.receipt = time.Now().Add(hide), rand.Text()
		out.Messages = append(out.Messages, types.Message{
			MessageId: aws.String(m.id), Body: aws.String(m.body), ReceiptHandle: aws.String(m.receipt), MD5OfBody: digest(m.body),
			Attributes: m.attributes(in),
		})
	}
	return out, q.news, nil
}

// attributes are those of the message that were asked for, by either of two names.
func (m *message) attributes(in *sqs.ReceiveMessageInput) map[string]string {
	all := map[string]string{
		"SentTimestamp": fmt.Sprint(m.sent.UnixMilli()), "ApproximateReceiveCount": fmt.Sprint(m.received),
		"ApproximateFirstReceiveTimestamp": fmt.Sprint(m.first.UnixMilli()),
	}
	var names []string
	for _, n := range in.AttributeNames {
		names = append(names, string(n))
	}
	for _, n := range in.MessageSystemAttributeNames {
		names = append(names, string(n))
	}
	if slices.Contains(names, "All") {
		return all
	}
	out := map[string]string{}
	for _, n := range names {
		if value, ok := all[n]; ok {
			out[n] = value
		}
	}
	return out
}

func (s *Service) deleteMessage(ctx context.Context, in *sqs.DeleteMessageInput) (*sqs.DeleteMessageOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, q, err := s.find(ctx, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(q.messages, func(m *message) bool { return m.receipt != "" && m.receipt == *in.ReceiptHandle })
	if i < 0 {
		return nil, &types.ReceiptHandleIsInvalid{Message: aws.String(fmt.Sprintf("The input receipt handle %q is not a valid receipt handle.", *in.ReceiptHandle))}
	}
	q.messages = slices.Delete(q.messages, i, i+1)
	return &sqs.DeleteMessageOutput{}, nil
}
