package wire

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"aicluster/e2e/localcloud/wire/model"
)

// maxBody is more than any operation in the table takes.
const maxBody = 16 << 20

// exchange is one request on its way through the stations.
type exchange struct {
	server  *Server
	r       *http.Request
	body    []byte
	form    url.Values
	service *model.Service
	op      *model.Operation
	labels  map[string]string // of the path, REST only
	call    Call
}

// ServeHTTP answers one AWS request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{server: s, r: r, call: Call{RequestID: newRequestID()}}
	out, err := x.run(r.Context())
	var reply reply
	if err == nil {
		reply, err = x.success(out)
	}
	if err != nil {
		reply = x.failed(err)
	}
	x.call.Status, x.call.Code = reply.status, reply.code
	if s.opts.Observe != nil && x.op != nil {
		s.opts.Observe(x.call, err)
	}
	if err == nil && s.opts.Answer != nil && !s.opts.Answer(r.Context(), x.call) {
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	}
	wait(r.Context(), replyDelay)
	reply.write(w, x.call.RequestID)
}

// wait blocks for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// run takes the request as far as its handler and returns the output's tree.
func (x *exchange) run(ctx context.Context) (tree, error) {
	if err := x.read(); err != nil {
		return nil, err
	}
	caller, err := x.authenticate()
	if err != nil {
		return nil, err
	}
	if err := x.findOperation(); err != nil {
		return nil, err
	}
	x.call.Service, x.call.Operation = x.service.Name, x.op.Name
	x.call.Caller, x.call.ReadOnly = caller, x.op.ReadOnly()
	h := x.server.handler(x.op)
	if h == nil {
		return nil, x.unknown(x.op.Name, x.service.Version)
	}
	in, err := x.decode()
	if err != nil {
		return nil, err
	}
	if dry, _ := in["DryRun"].(bool); dry {
		x.call.ReadOnly = true
	}
	x.call.Params = maps.Clone(in)
	if err := validate(x.op, in); err != nil {
		return nil, err
	}
	if err := x.server.unsupported(x.op, in); err != nil {
		return nil, err
	}
	page, err := x.server.startPage(x.op, x.call.Region, in)
	if err != nil {
		return nil, err
	}
	out, err := x.handle(ctx, h, in)
	if err != nil {
		return nil, err
	}
	x.server.cut(x.op, page, out)
	return out, nil
}

func (s *Server) handler(op *model.Operation) *handler {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.handlers[op.Service.Name+":"+op.Name]
}

// handle runs guard and handler.
func (x *exchange) handle(ctx context.Context, h *handler, in tree) (out tree, err error) {
	s := x.server
	input := reflect.New(h.input)
	if x.op.Input != nil {
		if err := s.bind.fill(input.Elem(), in, x.op.Input); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", x.op.Name, err)
		}
	}
	x.call.Input = input.Interface()
	ctx = withInfo(ctx, requestInfo{region: x.call.Region, requestID: x.call.RequestID, caller: x.call.Caller})
	defer func() {
		if p := recover(); p != nil {
			s.opts.Log.Error("handler panicked", "service", x.call.Service, "operation", x.call.Operation, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if s.opts.Guard != nil {
		if err := s.opts.Guard(ctx, x.call); err != nil {
			return nil, err
		}
	}
	output, err := h.call(ctx, x.call.Input)
	if err != nil || x.op.Output == nil {
		return tree{}, err
	}
	return s.bind.read(reflect.ValueOf(output).Elem(), x.op.Output), nil
}

// read takes in the body and finds the service.
func (x *exchange) read() error {
	body, err := io.ReadAll(io.LimitReader(x.r.Body, maxBody+1))
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	if len(body) > maxBody {
		return &Error{Code: "RequestEntityTooLarge", Message: "Request body is too large", Status: http.StatusRequestEntityTooLarge}
	}
	x.body = body
	if x.r.Header.Get("X-Amz-Target") == "" {
		x.readForm()
	}
	if sig, ok := ParseSignature(x.r); ok {
		x.call.Region = sig.Region
		x.service = x.signedService(sig.Service)
	}
	if x.service == nil {
		x.service = x.unsignedService()
	}
	if x.service == nil {
		return &Error{Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token", Status: http.StatusForbidden}
	}
	return nil
}

// readForm parses the parameters of the query protocols, which a presigned
// request has in its URL.
func (x *exchange) readForm() {
	if strings.HasPrefix(x.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		x.form, _ = url.ParseQuery(string(x.body))
		return
	}
	x.form = url.Values{}
	for name, values := range x.r.URL.Query() {
		if !strings.HasPrefix(name, "X-Amz-") {
			x.form[name] = values
		}
	}
}

// signedService finds the service that a request was signed for. Where two
// share a name, as both generations of Elastic Load Balancing do, the version
// decides.
func (x *exchange) signedService(name string) *model.Service {
	var found *model.Service
	for _, service := range x.server.table.Services {
		if service.SigningName != name {
			continue
		}
		if found == nil || service.Version == x.form.Get("Version") {
			found = service
		}
	}
	return found
}

// unsignedService finds the service of a request without a signature by its
// target or its version.
func (x *exchange) unsignedService() *model.Service {
	prefix, _, _ := strings.Cut(x.r.Header.Get("X-Amz-Target"), ".")
	for _, service := range x.server.table.Services {
		if prefix != "" && service.TargetPrefix == prefix {
			return service
		}
		if service.Operations[x.form.Get("Action")] != nil && service.Version == x.form.Get("Version") {
			return service
		}
	}
	return nil
}

func (x *exchange) authenticate() (Caller, error) {
	if op := x.service.Operations[x.form.Get("Action")]; op != nil && op.Unsigned {
		if _, signed := ParseSignature(x.r); !signed {
			return Caller{AccountID: AccountID}, nil
		}
	}
	_, caller, err := x.server.Authenticate(x.r, x.body)
	if err != nil {
		return Caller{}, authError(x.service.Protocol, err)
	}
	return caller, nil
}

func (x *exchange) findOperation() error {
	switch x.service.Protocol {
	case model.JSON:
		prefix, name, _ := strings.Cut(x.r.Header.Get("X-Amz-Target"), ".")
		if prefix == x.service.TargetPrefix {
			x.op = x.service.Operations[name]
		}
		return x.found(name, "")
	case model.REST:
		path := x.r.URL.EscapedPath()
		for _, op := range x.service.Operations {
			if op.Method != x.r.Method {
				continue
			}
			if labels, ok := matchURI(op.URI, path); ok && (x.op == nil || len(labels) < len(x.labels)) {
				// A literal segment wins over a label.
				x.op, x.labels = op, labels
			}
		}
		return x.found("", "")
	}
	name, version := x.form.Get("Action"), x.form.Get("Version")
	if name == "" {
		return &Error{Code: "MissingAction", Message: "The request must contain the parameter Action."}
	}
	if version == x.service.Version {
		x.op = x.service.Operations[name]
	}
	return x.found(name, version)
}

func (x *exchange) found(name, version string) error {
	if x.op == nil {
		return x.unknown(name, version)
	}
	return nil
}

// unknown is the error for an operation that is not here. What somebody needs and
// AWS has is to be seen in the log, too.
func (x *exchange) unknown(name, version string) error {
	x.server.opts.Log.Warn("unknown operation", "service", x.service.Name, "operation", name, "method", x.r.Method, "path", x.r.URL.Path)
	return unknownOperation(x.service, name, version)
}

func (x *exchange) decode() (tree, error) {
	switch x.service.Protocol {
	case model.JSON:
		return decodeJSON(x.body, x.op.Input)
	case model.REST:
		return decodeREST(x.r, x.labels, x.body, x.op.Input)
	}
	return formDecoder{ec2: x.service.Protocol == model.EC2}.decode(x.form, x.op.Input)
}
