// Package vllm plays vLLM's OpenAI-compatible server: it answers as a container of
// the image vllm/vllm-openai would, from its command line, but what it says is not
// thought about. Words of errors and fields of answers are those of vLLM's
// entrypoints (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html).
//
// Files: vllm (this one) tells which containers are vLLM's, arguments reads their
// command lines, server answers, generate makes the tokens, metrics counts.
package vllm

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/traffic"
)

// Image is vLLM's image for the nodes of a cluster.
type Image struct{ clock *clock.Clock }

// New returns the image. Loading and generating take the clock's time.
func New(c *clock.Clock) Image { return Image{c} }

// Is tells whether a container runs vLLM: by its image, of whatever registry, or by
// a command that starts it.
func Is(c *corev1.Container) bool {
	name, _, _ := strings.Cut(c.Image, "@")
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name = name[:i]
	}
	line := strings.Join(append(append([]string{}, c.Command...), c.Args...), " ")
	ours := name == "vllm-openai" || strings.HasSuffix(name, "/vllm-openai")
	return ours && len(c.Command) == 0 || strings.Contains(line, "vllm serve") || strings.Contains(line, "vllm.entrypoints.openai.api_server")
}

// Servers are vLLM's one port, which opens when the model has been loaded.
func (i Image) Servers(_ *corev1.Pod, c *corev1.Container) map[int32]traffic.Server {
	if !Is(c) {
		return nil
	}
	a := parse(c)
	return map[int32]traffic.Server{a.port: {Handler: newServer(a, i.clock), After: i.clock.Duration(clock.ModelLoad)}}
}
