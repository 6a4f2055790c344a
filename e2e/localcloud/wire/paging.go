package wire

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"

	"aicluster/e2e/localcloud/wire/model"
)

// defaultPageSize is how many items a page has when the request does not say.
// AWS's own defaults are 50 to 1,000, but it may return fewer at any time: a
// client that does not follow the token is wrong, and small pages show it. EC2
// is kinder, since its pages are of 1,000 unless asked for.
func defaultPageSize(p model.Protocol) int {
	if p == model.EC2 {
		return 50
	}
	return 5
}

// pageTokens makes and reads the opaque tokens of paged replies. A token is an
// offset, sealed for one operation, region, caller and set of parameters.
type pageTokens struct{ key []byte }

func newPageTokens() pageTokens {
	key := make([]byte, 32)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return pageTokens{key}
}

// page is the part of a list that a request asks for.
type page struct {
	from, size int // size 0: all that is left
	scope      []byte
}

// start reads the page that a request asks for and takes the token out of it,
// so that handlers do not see it.
func (s *Server) startPage(op *model.Operation, region string, in tree) (page, error) {
	rule := op.Page
	if rule == nil {
		return page{}, nil
	}
	token, _ := in[rule.In].(string)
	delete(in, rule.In)
	p := page{size: s.pageSize(op, in), scope: scopeOf(op, region, in)}
	if token == "" {
		return p, nil
	}
	from, ok := s.pages.open(token, p.scope)
	if !ok {
		return page{}, badToken(op)
	}
	p.from = from
	return p, nil
}

func (s *Server) pageSize(op *model.Operation, in tree) int {
	if limit, ok := in[op.Page.Limit].(int64); ok && limit > 0 {
		return int(limit)
	}
	if op.Service.Protocol == model.EC2 && namesItems(in) {
		return 0
	}
	if s.opts.PageSize > 0 {
		return s.opts.PageSize
	}
	return defaultPageSize(op.Service.Protocol)
}

// namesItems tells whether an EC2 request lists what it wants to see, as in
// InstanceIds; EC2 then answers in one page.
func namesItems(in tree) bool {
	for name, value := range in {
		if _, isList := value.([]any); isList && (strings.HasSuffix(name, "Ids") || name == "InstanceTypes") {
			return true
		}
	}
	return false
}

// scopeOf is what a token is good for: the same request but for its page.
func scopeOf(op *model.Operation, region string, in tree) []byte {
	rest := tree{}
	for name, value := range in {
		if name != op.Page.Limit {
			rest[name] = value
		}
	}
	text, _ := json.Marshal(rest) // sorts keys; a tree always marshals
	return []byte(op.Service.Name + ":" + op.Name + "\n" + region + "\n" + string(text))
}

// cut reduces a reply to its page and adds the token of the next one. The
// result members count as one list, in their order.
func (s *Server) cut(op *model.Operation, p page, out tree) {
	rule := op.Page
	if rule == nil {
		return
	}
	delete(out, rule.Out)
	skip, room := p.from, p.size
	left := 0
	for _, name := range rule.Results {
		items, _ := out[name].([]any)
		drop := min(skip, len(items))
		skip -= drop
		items = items[drop:]
		if p.size > 0 {
			take := min(room, len(items))
			room -= take
			left += len(items) - take
			items = items[:take]
		}
		if _, present := out[name]; present {
			out[name] = items
		}
	}
	if rule.More != "" {
		out[rule.More] = left > 0
	}
	if left > 0 {
		out[rule.Out] = s.pages.seal(p.from+p.size, p.scope)
	}
}

func (t pageTokens) seal(offset int, scope []byte) string {
	raw := binary.BigEndian.AppendUint32(nil, uint32(offset))
	return base64.StdEncoding.EncodeToString(append(raw, t.mac(raw, scope)...))
}

func (t pageTokens) open(token string, scope []byte) (offset int, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(raw) < 4 || !hmac.Equal(raw[4:], t.mac(raw[:4], scope)) {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(raw)), true
}

func (t pageTokens) mac(offset, scope []byte) []byte {
	h := hmac.New(sha256.New, t.key)
	h.Write(offset)
	h.Write(scope)
	return h.Sum(nil)[:20]
}

// badToken is the error for a token that this operation did not give out.
func badToken(op *model.Operation) error {
	if op.Service.Protocol == model.EC2 {
		return &Error{Code: "InvalidNextToken", Message: "The specified token is not valid."}
	}
	if name, ok := op.Declares("InvalidNextToken", "InvalidPaginationTokenException", "InvalidParameterException"); ok {
		code, _ := declaredCode(op.Service, name)
		return &Error{Code: code, Message: "The specified " + lowerFirst(op.Page.In) + " is not valid."}
	}
	if op.Service.Protocol == model.Query {
		return &Error{Code: "ValidationError", Message: "Invalid " + op.Page.In + "."}
	}
	return &Error{Code: "ValidationException", Message: "Invalid " + op.Page.In + "."}
}
