package cloud

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// NewToken is a fresh ClientRequestToken for one attempt: the same in all
// retries of it, so that a lost reply does not make a second resource.
func NewToken() string { return rand.Text() }

// TokenOf is a ClientToken that the same parts always give. It survives a crash
// between two calls; parts must say which attempt this is, because AWS answers
// a token that it knows with the resource of then, even if that is gone.
func TokenOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}
