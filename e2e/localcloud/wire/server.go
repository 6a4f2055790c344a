// Package wire speaks AWS's protocols, so that a service is plain Go: a typed
// handler takes the SDK's own input type and returns the SDK's own output type.
//
// The package knows no service. A table made from botocore's service models
// ([aicluster/e2e/localcloud/wire/model]) tells for every operation how its
// members travel, what is required, and which values are allowed; the four
// protocols in use are the EC2 query, the query, the REST-JSON and the JSON 1.1
// protocol. A request passes these stations:
//
//	route         service and operation, from the signature's scope, the target header or the path
//	authenticate  AWS Signature Version 4, header or presigned, with the keys handed out
//	decode        into the SDK's input type; an unknown parameter is refused
//	              members that the service's code does not read are refused as well ([Server.Honours])
//	validate      required members, enums, patterns, lengths, ranges, in AWS's own words
//	guard         the hook for permissions and injected faults ([Options].Guard)
//	handle        the function given to [Handle]
//	page          a list reply is cut to the page that was asked for
//	encode        the SDK's output type, or the error in the protocol's own shape
package wire

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"aicluster/e2e/localcloud/wire/members"
	"aicluster/e2e/localcloud/wire/model"
)

// AccountID is the one account of the local cloud.
const AccountID = "111122223333"

// replyDelay comes before each reply. On loopback an answer that comes at once
// meets the client's net/http while it still looks after the request's body;
// the SDK then sees a closed connection and calls again, so that a create
// would run twice.
const replyDelay = 500 * time.Microsecond

// Options configures a [Server].
type Options struct {
	// Keys are the access keys that may sign requests.
	Keys []Key
	// Guard, when set, sees each call after validation and before its handler.
	// An error that it returns is answered in the handler's place.
	Guard func(context.Context, Call) error
	// Answer, when set, says of each call that succeeded whether it is answered;
	// the connection is cut if not. It may hold the answer back, until the
	// context ends: then the client has gone.
	Answer func(context.Context, Call) bool
	// Observe, when set, is told of each call once it was answered.
	Observe func(Call, error)
	// PageSize is how many items a list reply holds when the request names no
	// size; zero means small defaults (see [defaultPageSize]).
	PageSize int
	// Now is the time that signatures are checked against; nil means time.Now.
	Now func() time.Time
	// Log is told of handlers that panic or return an error that is not AWS's.
	Log *slog.Logger
}

// Key is an access key and who calls with it.
type Key struct {
	ID, Secret   string
	SessionToken string // temporary keys only
	Caller       Caller
}

// Caller is who signed a request.
type Caller struct{ AccountID, ARN, UserID, AccessKeyID string }

// Call is one call of an operation.
type Call struct {
	Service   string // as given to [Handle]
	Operation string
	Region    string
	RequestID string
	Caller    Caller
	ReadOnly  bool // the operation changes nothing
	Input     any  // *I of the handler; nil when the request could not be decoded
	// TakeBody, when set, reads the rest of the request. Without that a server
	// does not notice that a client has gone; who waits in Guard calls it.
	TakeBody func() error
	// Params is the request as the API names its members; nil when it could
	// not be decoded. Observe may keep it, but not change it.
	Params map[string]any
	// Status is the HTTP status answered, Code the error's; set for Observe only.
	Status int
	Code   string
}

// Server answers AWS requests; it is an [http.Handler].
type Server struct {
	opts  Options
	table *model.Table
	bind  binder
	pages pageTokens

	mu       sync.RWMutex
	keys     map[string]Key
	onKey    func(Key)
	handlers map[string]*handler      // by "service:Operation"
	honoured map[string]members.Table // by service
}

type handler struct {
	op     *model.Operation
	input  reflect.Type
	output reflect.Type
	call   func(context.Context, any) (any, error)
}

// NewServer returns a server without any operation.
func NewServer(opts Options) (*Server, error) {
	table, err := model.Load()
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: opts, table: table, pages: newPageTokens(), keys: map[string]Key{}, handlers: map[string]*handler{}, honoured: map[string]members.Table{}}
	for _, k := range opts.Keys {
		s.AddKey(k)
	}
	return s, nil
}

// AddKey lets requests be signed with k from now on.
func (s *Server) AddKey(k Key) {
	if k.Caller.AccountID == "" {
		k.Caller.AccountID = AccountID
	}
	k.Caller.AccessKeyID = k.ID
	s.mu.Lock()
	s.keys[k.ID] = k
	tell := s.onKey
	s.mu.Unlock()
	if tell != nil {
		tell(k)
	}
}

// OnKey has f told of each key that is added from now on, before it is used.
func (s *Server) OnKey(f func(Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onKey = f
}

// Caller is who signs with the access key id. It verifies nothing.
func (s *Server) Caller(id string) (Caller, bool) {
	k, ok := s.key(id)
	return k.Caller, ok
}

func (s *Server) key(id string) (Key, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, ok := s.keys[id]
	return k, ok
}

// Handle registers f for the operation that I names: its type name without
// "Input". Service is one of "ec2", "eks", "iam", "sts", "autoscaling",
// "elbv2", "logs", "ssm", "servicequotas".
//
// It panics when the table has no such operation: a mistake in the program.
func Handle[I, O any](s *Server, service string, f func(context.Context, *I) (*O, error)) {
	in, out := reflect.TypeFor[I](), reflect.TypeFor[O]()
	name := strings.TrimSuffix(in.Name(), "Input")
	op := s.table.Operation(service, name)
	if op == nil {
		panic(fmt.Sprintf("wire: operation %s:%s is not in the table: add it to model/operations.txt and run model/generate.py", service, name))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[service+":"+name] = &handler{
		op: op, input: in, output: out,
		call: func(ctx context.Context, v any) (any, error) {
			o, err := f(ctx, v.(*I))
			if err != nil {
				return nil, err
			}
			if o == nil {
				o = new(O)
			}
			return o, nil
		},
	}
}

// Honours has the layer refuse, from a service, what the service's source does not
// read of its inputs, rather than answer as if it had been carried out (package
// members). sdk is the last element of the import path of the SDK's package.
//
// It panics when the source cannot be parsed, which was compiled.
func (s *Server) Honours(service, sdk string, source fs.FS) {
	table, err := members.Of(source, sdk)
	if err != nil {
		panic(fmt.Sprintf("wire: the source of %s: %v", service, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.honoured[service] = table
}

// Unjudged lists the registered operations, as "service:Operation", of which
// nothing says what members they honour.
func (s *Server) Unjudged() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []string
	for name, h := range s.handlers {
		if s.honoured[h.op.Service.Name][h.op.Name] == nil {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// Invoke calls a registered operation in the process, without a request: for a
// service that needs what another's API offers.
func Invoke[I, O any](ctx context.Context, s *Server, service string, in *I) (*O, error) {
	name := strings.TrimSuffix(reflect.TypeFor[I]().Name(), "Input")
	op := s.table.Operation(service, name)
	if op == nil || s.handler(op) == nil {
		return nil, fmt.Errorf("wire: operation %s:%s has no handler", service, name)
	}
	out, err := s.handler(op).call(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.(*O), nil
}

// Operations lists the registered operations as "service:Operation", and
// whether each is read-only.
func (s *Server) Operations() map[string]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ops := make(map[string]bool, len(s.handlers))
	for name, h := range s.handlers {
		ops[name] = h.op.ReadOnly()
	}
	return ops
}
