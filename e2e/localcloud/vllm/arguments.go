package vllm

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// arguments are what the server reads of its command line. Defaults are those of
// "vllm serve" (https://docs.vllm.ai/en/latest/cli/serve.html).
type arguments struct {
	model  string
	served []string // names by which requests may ask for the model; the first is shown
	port   int32
	length int      // tokens of prompt and answer together
	seqs   int      // requests that run at a time
	keys   []string // that requests must show one of; empty: none needed
}

const (
	defaultModel  = "Qwen/Qwen3-0.6B"
	defaultPort   = 8000
	defaultLength = 131072 // there is no model to read it from: Llama 3.1's
	defaultSeqs   = 256
)

// parse reads the command line of a container, with the variables of its own that
// it refers to.
func parse(c *corev1.Container) arguments {
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	var words []string
	for _, w := range append(append([]string{}, c.Command...), c.Args...) {
		w = expansion.Expand(w, expansion.MappingFuncFor(env))
		if strings.Contains(w, "vllm serve") || strings.Contains(w, "api_server ") { // a shell's line
			words = append(words, strings.Fields(w)...)
			continue
		}
		words = append(words, w)
	}
	a := arguments{model: defaultModel, port: defaultPort, length: defaultLength, seqs: defaultSeqs}
	if key := env["VLLM_API_KEY"]; key != "" {
		a.keys = []string{key}
	}
	positional := len(c.Command) == 0 // the image's entry point is "vllm serve"
	for i := 0; i < len(words); i++ {
		name, isFlag := strings.CutPrefix(words[i], "--")
		if !isFlag {
			if positional {
				a.model, positional = words[i], false
			}
			positional = positional || words[i] == "serve"
			continue
		}
		name, value, joined := strings.Cut(name, "=")
		values := []string{value}
		if !joined {
			values = nil
			for i+1 < len(words) && !strings.HasPrefix(words[i+1], "--") && (len(values) == 0 || several(name)) {
				i++
				values = append(values, words[i])
			}
		}
		a.set(strings.ReplaceAll(name, "_", "-"), values)
	}
	if len(a.served) == 0 {
		a.served = []string{a.model}
	}
	return a
}

// several tells that a flag takes more than one value.
func several(flag string) bool { return flag == "served-model-name" || flag == "api-key" }

func (a *arguments) set(flag string, values []string) {
	if len(values) == 0 {
		return
	}
	switch flag {
	case "model":
		a.model = values[0]
	case "served-model-name":
		a.served = values
	case "api-key":
		a.keys = values
	case "port":
		if n, err := strconv.ParseInt(values[0], 10, 32); err == nil {
			a.port = int32(n)
		}
	case "max-model-len":
		a.length = count(values[0], a.length)
	case "max-num-seqs":
		a.seqs = count(values[0], a.seqs)
	}
}

// count reads a number such as 8192, 8k (thousand) or 8K (1024).
func count(text string, otherwise int) int {
	units := map[string]int{"k": 1e3, "K": 1 << 10, "m": 1e6, "M": 1 << 20}
	unit := 1
	if n := len(text) - 1; n > 0 && units[text[n:]] > 0 {
		text, unit = text[:n], units[text[n:]]
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 1 {
		return otherwise
	}
	return int(n * float64(unit))
}
