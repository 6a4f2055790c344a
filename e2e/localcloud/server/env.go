package server

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"aicluster/e2e/localcloud/proxy"
)

// Env is what a process needs in its environment to reach the local cloud, as
// KEY=VALUE.
func (c *Cloud) Env() []string {
	way := c.proxy.URL()
	const direct = "localhost,127.0.0.1,::1"
	return []string{
		"AWS_ENDPOINT_URL=" + c.url,
		"AWS_REGION=" + Region,
		"AWS_DEFAULT_REGION=" + Region, // for the AWS CLI and boto3
		"AWS_ACCESS_KEY_ID=" + c.key.ID,
		"AWS_SECRET_ACCESS_KEY=" + c.key.Secret,
		"AWS_EC2_METADATA_DISABLED=true",
		"AICLUSTER_CHART_MIRROR=" + c.path("charts"),
		// The way to load balancers. Some programs read these in upper case, some in lower.
		proxyVariable + "=" + way,
		"HTTP_PROXY=" + way, "http_proxy=" + way, "HTTPS_PROXY=" + way, "https_proxy=" + way,
		"NO_PROXY=" + direct, "no_proxy=" + direct,
	}
}

// proxyVariable tells a local cloud which proxy in its environment is that of another
// one, and no way to the outside.
const proxyVariable = "LOCALCLOUD_PROXY"

// startProxy starts the way to the load balancers. To the outside it goes by the
// proxy of this process's environment, if there is one.
func (c *Cloud) startProxy() (*proxy.Server, error) {
	other := os.Getenv(proxyVariable)
	upstream := func(r *http.Request) (*url.URL, error) {
		u, err := http.ProxyFromEnvironment(r)
		if u != nil && other != "" && u.String() == other {
			return nil, nil
		}
		return u, err
	}
	return proxy.Start(upstream, c.services.elbv2.Dial, c.services.elb.Dial)
}

// unwanted are what a person may have set for AWS and what must not be mixed
// with the local cloud's keys.
var unwanted = [...]string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"}

// Environ is the environment base, such as os.Environ's, made to reach the
// local cloud.
func (c *Cloud) Environ(base []string) []string {
	kept := slices.DeleteFunc(slices.Clone(base), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(unwanted[:], name)
	})
	return append(kept, c.Env()...)
}

// writeEnv writes the env file for a shell to source. It appears whole or not
// at all, and only its owner can read it.
func (c *Cloud) writeEnv() error {
	var b strings.Builder
	b.WriteString("# The local cloud's endpoint and keys; made anew with every start.\n")
	for _, pair := range c.Env() {
		name, value, _ := strings.Cut(pair, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	fmt.Fprintf(&b, "unset %s\n", strings.Join(unwanted[:], " "))
	next := c.path("env.new")
	if err := os.WriteFile(next, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, c.path("env"))
}
