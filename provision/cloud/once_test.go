package cloud

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
)

func coded(code string) error { return &smithy.GenericAPIError{Code: code, Message: "words"} }

// TestCreateOnce: what the create call answers, call by call; from when on a
// look-up finds something, if ever; and what that comes to.
func TestCreateOnce(t *testing.T) {
	const never = time.Hour
	lost, denied, taken, throttled := coded("RequestTimeout"), coded("UnauthorizedOperation"), coded("InvalidSubnet.Conflict"), coded("RequestLimitExceeded")
	for _, test := range []struct {
		name    string
		answers []error
		listed  time.Duration
		want    string
		err     error
		most    time.Duration
	}{
		{"made", []error{nil}, never, "made", nil, 0},
		{"refused", []error{denied}, 0, "", denied, 0},
		{"reply lost, listed at once", []error{lost}, 0, "found", nil, 0},
		{"reply lost, listed late", []error{lost}, 3 * time.Second, "found", nil, 4 * time.Second},
		{"reply lost before it took effect", []error{lost, nil}, never, "made", nil, 11 * time.Second},
		{"always lost", []error{lost, lost, lost, lost, lost}, never, "", lost, time.Minute},
		{"throttled: asked again without a look", []error{throttled, throttled, nil}, 0, "made", nil, time.Second},
		{"there already, listed late", []error{taken}, 3 * time.Second, "found", nil, 4 * time.Second},
		{"somebody else's is in the way", []error{taken}, never, "", taken, 11 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, calls := time.Now(), 0
				got, err := CreateOnce(t.Context(), func(context.Context) (string, bool, error) {
					return "found", time.Since(start) >= test.listed, nil
				}, func(context.Context) (string, error) {
					calls++
					if err := test.answers[calls-1]; err != nil {
						return "", err
					}
					return "made", nil
				})
				if got != test.want && err == nil || !errors.Is(err, test.err) {
					t.Errorf("%q, error %v", got, err)
				}
				if calls != len(test.answers) {
					t.Errorf("%d calls, want %d", calls, len(test.answers))
				}
				if took := time.Since(start); took > test.most {
					t.Errorf("it took %s, more than %s", took, test.most)
				}
			})
		})
	}
}

func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := Settled(t.Context(), func(context.Context) error {
			if time.Since(start) < 3*time.Second {
				return coded("InvalidVpcID.NotFound")
			}
			return nil
		})
		if took := time.Since(start); err != nil || took > 4*time.Second {
			t.Errorf("error %v after %s", err, took)
		}
		start = time.Now()
		err = Settled(t.Context(), func(context.Context) error { return coded("InvalidVpcID.NotFound") })
		if took := time.Since(start); Code(err) != "InvalidVpcID.NotFound" || took < settleLimit || took > settleLimit+pollMax {
			t.Errorf("error %v after %s", err, took)
		}
	})
}

func TestWithToken(t *testing.T) {
	var tokens []string
	err := WithToken(t.Context(), TokenOf("vpc-1", "name"), func(_ context.Context, token string) error {
		tokens = append(tokens, token)
		if len(tokens) == 1 {
			return coded("IdempotentParameterMismatch")
		}
		return nil
	})
	if err != nil || len(tokens) != 2 || tokens[0] != TokenOf("vpc-1", "name") || tokens[1] == tokens[0] {
		t.Errorf("error %v, tokens %q", err, tokens)
	}
}
