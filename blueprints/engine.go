package blueprints

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// VLLMImage is what services run unless they say otherwise: vLLM 0.31.0 for CUDA
// 13, which takes a driver of the 580 branch, as EKS's NVIDIA AMIs have. It is on
// Docker Hub (hub.docker.com/r/vllm/vllm-openai/tags); its making is in vLLM's
// docker/Dockerfile and .buildkite/scripts/publish-release-images.sh.
const VLLMImage = "vllm/vllm-openai:v0.31.0"

//go:embed vllm-args.txt
var engineArgsText string

// engineArgs are the options of "vllm serve". The file says of which version.
var engineArgs = sync.OnceValue(func() []string {
	var names []string
	for line := range strings.Lines(engineArgsText) {
		if !strings.HasPrefix(line, "#") {
			names = append(names, strings.TrimSpace(line))
		}
	}
	return names
})

// EngineArg is the name of the option that an argument of vLLM gives, as vLLM
// reads it: --max-model-len, of --max_model_len=8192. It is empty for an argument
// that is a value.
func EngineArg(arg string) string {
	if !strings.HasPrefix(arg, "--") {
		return ""
	}
	name, _, _ := strings.Cut(arg, "=")
	name, _, _ = strings.Cut(name, ".") // --compilation-config.mode
	return strings.ReplaceAll(name, "_", "-")
}

// knownEngineArg tells whether vLLM has the option. What is on or off has a second
// name with "no".
func knownEngineArg(name string) bool {
	known := engineArgs()
	positive, negated := strings.CutPrefix(name, "--no-")
	return slices.Contains(known, name) || negated && slices.Contains(known, "--"+positive)
}
