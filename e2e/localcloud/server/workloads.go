package server

import (
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"aicluster/e2e/localcloud/wire"
)

// workloads are the played pods that call AWS as a role of the account. Their
// calls are held to the role's policies like anybody's, but they are no
// client's: they are not counted and no fault meets them.
type workloads struct {
	mu   sync.Mutex
	keys map[string]wire.Key // by role and session
	ids  map[string]bool     // of these keys
}

// has tells whether a key is one of a played pod.
func (p *workloads) has(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ids[id]
}

// roleConfig is how a played pod calls the services: with a key of the role.
func (c *Cloud) roleConfig(region, roleARN, session string) (aws.Config, error) {
	role, ok := c.services.iam.Role(roleARN)
	if !ok {
		return aws.Config{}, fmt.Errorf("role %s does not exist", roleARN)
	}
	c.pods.mu.Lock()
	name := role.ID + "/" + session // a role that is made anew is another one
	key, ok := c.pods.keys[name]
	if !ok {
		key = newKey("assumed-role/" + role.Name + "/" + session)
		key.Caller.UserID = role.ID + ":" + session
		c.pods.keys[name], c.pods.ids[key.ID] = key, true
	}
	c.pods.mu.Unlock()
	if !ok {
		c.wire.AddKey(key)
	}
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(c.url), Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	}, nil
}
