package eks

import "github.com/aws/aws-sdk-go-v2/service/eks/types"

// request is what a creation or an update was asked for with: its client token
// and all of its parameters.
type request struct{ token, parameters string }

func requestOf(token *string, in any) request { return request{deref(token), asJSON(in)} }

// again tells whether a later request is this one once more: the same client
// token and the same parameters. The same token with other parameters is an
// error ("…to ensure the idempotency of the request", API reference; AWS's code
// and words for it were not found).
func (r request) again(later request, cluster, nodegroup string) (bool, error) {
	switch {
	case r.token == "" || r.token != later.token:
		return false, nil
	case r.parameters != later.parameters:
		return false, invalidParameter(cluster, nodegroup, "The clientRequestToken %s was used before with different parameters", r.token)
	}
	return true, nil
}

// repeated finds the update that an earlier request with the same client token
// made; s.mu is held.
func (c *cluster) repeated(later request, nodegroup, addon string) (*types.Update, error) {
	for _, u := range c.updates {
		if u.nodegroup != nodegroup || u.addon != addon {
			continue
		}
		if again, err := u.request.again(later, c.key.name, nodegroup); again || err != nil {
			return u.output(), err
		}
	}
	return nil, nil
}
