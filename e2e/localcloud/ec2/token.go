package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// token remembers what a client token made, and of which request.
type token struct{ id, request string }

// repeated looks whether a call with this client token was made before: then it
// gives the id that the first call made, or an error if the request differs
// (EC2 User Guide, "Ensuring idempotency"). Remember the new id with the func.
func (r *region) repeated(operation string, clientToken *string, in any) (id string, remember func(id string), err error) {
	if clientToken == nil || *clientToken == "" {
		return "", func(string) {}, nil
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
			return "", nil, fail("IdempotentParameterMismatch", "The client token you have provided is associated with a resource that is already deleted or does not match the request parameters.")
		}
		return t.id, remember, nil
	}
	return "", remember, nil
}

// fixedHex makes n hexadecimal digits that are the same for a name every time,
// for ids of things that AWS provides.
func fixedHex(name string, n int) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:n]
}
