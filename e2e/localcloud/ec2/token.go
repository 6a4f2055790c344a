package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// maxToken is the longest client token (EC2 Developer Guide, "Ensuring idempotency
// in Amazon EC2 API requests").
const maxToken = 64

// token remembers what a client token made, and of which request.
type token struct{ id, request string }

// repeated looks whether a call with this client token was made before: then it
// gives the id that the first call made, or an error if the request differs.
// Remember the new id with the func.
func (r *region) repeated(operation string, clientToken *string, in any) (id string, remember func(id string), err error) {
	if clientToken == nil || *clientToken == "" {
		return "", func(string) {}, nil
	}
	if len(*clientToken) > maxToken || strings.ContainsFunc(*clientToken, func(c rune) bool { return c < ' ' || c > '~' }) {
		return "", nil, fail("InvalidClientToken", "The specified client token is not valid. It can have up to %d ASCII characters.", maxToken)
	}
	key := operation + "/" + *clientToken
	text, err := json.Marshal(in)
	if err != nil {
		return "", nil, fmt.Errorf("ec2: %w", err)
	}
	sum := sha256.Sum256(text)
	request := hex.EncodeToString(sum[:])
	remember = func(id string) { r.tokens[key] = token{id, request} }
	if t, ok := r.tokens[key]; ok {
		if t.request != request {
			return "", nil, fail("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
		}
		return t.id, remember, nil
	}
	return "", remember, nil
}

// errTokenSpent: the token's resource is gone, and a token is good for one only.
func errTokenSpent() error {
	return fail("IdempotentParameterMismatch", "The client token you have provided is associated with a resource that is already deleted. Please use a different client token.")
}

// again gives the resource that a repeated call made, if it is a repeated call.
func again[T any](t *table[T], id string) (v T, ok bool, err error) {
	if v, ok = t.get(id); !ok && id != "" {
		err = errTokenSpent()
	}
	return v, ok, err
}

// fixedHex makes n hexadecimal digits that are the same for a name every time,
// for ids of things that AWS provides.
func fixedHex(name string, n int) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:n]
}
