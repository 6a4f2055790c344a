package logs

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// stream is a log stream with its events, by time.
type stream struct {
	created time.Time
	written time.Time // the last PutLogEvents
	events  []event
}

type event struct {
	at, taken int64 // milliseconds since 1970
	message   string
}

// What a batch may be (API reference of PutLogEvents).
const (
	maxBatch   = 1 << 20 // bytes, with perEvent for each event
	perEvent   = 26
	maxAge     = 14 * 24 * time.Hour
	maxFuture  = 2 * time.Hour
	streamGone = "The specified log stream does not exist."
)

// inGroup finds a group by the one of two members that a request has.
func (s *Service) inGroup(ctx context.Context, name, identifier *string) (key, *group, error) {
	switch {
	case name != nil && identifier != nil:
		return key{}, nil, invalid("LogGroup name and LogGroup identifier are mutually exclusive parameters.")
	case name != nil:
		return s.find(ctx, *name)
	case identifier != nil:
		return s.find(ctx, *identifier)
	}
	return key{}, nil, invalid("LogGroup name or LogGroup identifier must be given.") // words not found
}

func (s *Service) createLogStream(ctx context.Context, in *logs.CreateLogStreamInput) (*logs.CreateLogStreamOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.find(ctx, *in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if g.streams[*in.LogStreamName] != nil {
		return nil, &types.ResourceAlreadyExistsException{Message: aws.String("The specified log stream already exists")}
	}
	if g.streams == nil {
		g.streams = map[string]*stream{}
	}
	g.streams[*in.LogStreamName] = &stream{created: time.Now()}
	return &logs.CreateLogStreamOutput{}, nil
}

func (s *Service) deleteLogStream(ctx context.Context, in *logs.DeleteLogStreamInput) (*logs.DeleteLogStreamOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.find(ctx, *in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if g.streams[*in.LogStreamName] == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String(streamGone)}
	}
	delete(g.streams, *in.LogStreamName)
	return &logs.DeleteLogStreamOutput{}, nil
}

func (s *Service) describeLogStreams(ctx context.Context, in *logs.DescribeLogStreamsInput) (*logs.DescribeLogStreamsOutput, error) {
	byTime := in.OrderBy == types.OrderByLastEventTime
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, g, err := s.inGroup(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	out := &logs.DescribeLogStreamsOutput{LogStreams: []types.LogStream{}}
	for name, st := range g.streams {
		if !strings.HasPrefix(name, aws.ToString(in.LogStreamNamePrefix)) {
			continue
		}
		l := types.LogStream{LogStreamName: aws.String(name), CreationTime: aws.Int64(st.created.UnixMilli()), Arn: aws.String(k.arn() + ":log-stream:" + name), StoredBytes: aws.Int64(0)}
		if n := len(st.events); n > 0 {
			l.FirstEventTimestamp, l.LastEventTimestamp, l.LastIngestionTime = &st.events[0].at, &st.events[n-1].at, aws.Int64(st.written.UnixMilli())
		}
		out.LogStreams = append(out.LogStreams, l)
	}
	slices.SortFunc(out.LogStreams, func(a, b types.LogStream) int {
		order := strings.Compare(*a.LogStreamName, *b.LogStreamName)
		if last := aws.ToInt64(a.LastEventTimestamp) - aws.ToInt64(b.LastEventTimestamp); byTime && last != 0 {
			order = int(last)
		}
		if aws.ToBool(in.Descending) {
			return -order
		}
		return order
	})
	return out, nil
}

func (s *Service) putLogEvents(ctx context.Context, in *logs.PutLogEventsInput) (*logs.PutLogEventsOutput, error) {
	_ = in.SequenceToken // "always accepted", whatever it is
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.find(ctx, *in.LogGroupName)
	if err != nil {
		return nil, err
	}
	st := g.streams[*in.LogStreamName]
	if st == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String(streamGone)}
	}
	size, last := 0, int64(0)
	for _, e := range in.LogEvents {
		size += len(*e.Message) + perEvent
		if *e.Timestamp < last {
			return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
		last = *e.Timestamp
	}
	if size > maxBatch {
		return nil, invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatch)
	}
	now := time.Now()
	oldest := now.Add(-maxAge)
	if g.retention != nil {
		if kept := now.AddDate(0, 0, -int(*g.retention)); kept.After(oldest) {
			oldest = kept
		}
	}
	rejected := &types.RejectedLogEventsInfo{}
	for i, e := range in.LogEvents {
		switch at := time.UnixMilli(*e.Timestamp); {
		case at.Before(oldest):
			rejected.TooOldLogEventEndIndex = aws.Int32(int32(i + 1))
		case at.After(now.Add(maxFuture)):
			if rejected.TooNewLogEventStartIndex == nil {
				rejected.TooNewLogEventStartIndex = aws.Int32(int32(i))
			}
		default:
			st.events = append(st.events, event{at: *e.Timestamp, taken: now.UnixMilli(), message: *e.Message})
			g.bytes += int64(len(*e.Message) + perEvent)
		}
	}
	slices.SortStableFunc(st.events, func(a, b event) int { return int(a.at - b.at) })
	st.written = now
	out := &logs.PutLogEventsOutput{}
	if rejected.TooOldLogEventEndIndex != nil || rejected.TooNewLogEventStartIndex != nil {
		out.RejectedLogEventsInfo = rejected
	}
	return out, nil
}

// filterLogEvents finds events by their streams, time and a word in them.
func (s *Service) filterLogEvents(ctx context.Context, in *logs.FilterLogEventsInput) (*logs.FilterLogEventsOutput, error) {
	_ = in.Interleaved // "always true"
	word := strings.Trim(aws.ToString(in.FilterPattern), `"`)
	switch {
	case strings.ContainsAny(word, ` "{}[]%?`):
		return nil, invalid("Invalid filter pattern") // this service knows single words only
	case len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != nil:
		return nil, invalid("LogStream names and LogStream name prefix are mutually exclusive parameters.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, g, err := s.inGroup(ctx, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	out := &logs.FilterLogEventsOutput{Events: []types.FilteredLogEvent{}}
	for name, st := range g.streams {
		if !strings.HasPrefix(name, aws.ToString(in.LogStreamNamePrefix)) || len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, name) {
			continue
		}
		for i, e := range st.events {
			if e.at < aws.ToInt64(in.StartTime) || in.EndTime != nil && e.at >= *in.EndTime || !strings.Contains(e.message, word) {
				continue
			}
			out.Events = append(out.Events, types.FilteredLogEvent{
				LogStreamName: aws.String(name), Timestamp: aws.Int64(e.at), IngestionTime: aws.Int64(e.taken), Message: aws.String(e.message),
				EventId: aws.String(strconv.FormatInt(e.at, 10) + name + strconv.Itoa(i)),
			})
		}
	}
	slices.SortFunc(out.Events, func(a, b types.FilteredLogEvent) int {
		if d := int(*a.Timestamp - *b.Timestamp); d != 0 {
			return d
		}
		return strings.Compare(*a.EventId, *b.EventId)
	})
	return out, nil
}
