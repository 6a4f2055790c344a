package server

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Env is what a process needs in its environment to reach the local cloud, as
// KEY=VALUE.
func (c *Cloud) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + c.url,
		"AWS_REGION=" + Region,
		"AWS_DEFAULT_REGION=" + Region, // for the AWS CLI and boto3
		"AWS_ACCESS_KEY_ID=" + c.key.ID,
		"AWS_SECRET_ACCESS_KEY=" + c.key.Secret,
		"AWS_EC2_METADATA_DISABLED=true",
		"AICLUSTER_CHART_MIRROR=" + c.path("charts"),
	}
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
