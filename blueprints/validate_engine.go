package blueprints

import (
	"slices"
	"strconv"
	"strings"
)

// notForUsers are the options of vLLM that the rest of a service depends on, and
// what to do instead.
var notForUsers = map[string]string{
	"--model":    "the model is said by 'model'",
	"--port":     "the Service and the probes ask at port 8000",
	"--host":     "vLLM has to listen at all addresses of its pod, as it does",
	"--uds":      "the Service and the probes ask at port 8000",
	"--grpc":     "the probes and the way in speak HTTP",
	"--headless": "the probes and the way in need the HTTP server",
	"--api-key":  "arguments can be read by everybody who can read pods: let the way in ask for keys",
	"--hf-token": "arguments can be read by everybody who can read pods: put the files under models.seed",
}

// validateEngine: arguments and image. What vLLM may not know is passed on, and
// said.
func validateEngine(d *document, s *Service, at string) {
	parallel := 1
	for i, arg := range s.Args {
		path := item(at+".args", i)
		if !d.given(path) {
			continue
		}
		name := EngineArg(arg)
		if name == "" {
			if i == 0 && !strings.HasPrefix(arg, "-") {
				d.errorf(path, "write options such as --max-model-len=8192; the model is said by 'model'", "the first argument is no option of vLLM: %q", arg)
			}
			continue
		}
		hint, taken := notForUsers[name]
		switch {
		case taken:
			d.errorf(path, "leave it out: "+hint, "%s cannot be set here", name)
		case !knownEngineArg(name):
			hint := "it is passed on as it is, and vLLM ends at once if it does not know it"
			if meant := suggest(name, engineArgs()); meant != "" {
				hint = "did you mean " + meant + "? Otherwise " + hint
			}
			d.warnf(path, hint, "vLLM v0.31.0 has no option %s", name)
		case name == "--tensor-parallel-size", name == "--pipeline-parallel-size":
			if n, err := strconv.Atoi(engineValue(s.Args, i)); err == nil && n > 0 {
				if parallel *= n; parallel > s.GPUs {
					d.errorf(path, "write 'gpus: "+strconv.Itoa(parallel)+"'; the option is then not needed", "%s needs %d GPUs, and a replica has %d", arg, parallel, s.GPUs)
				}
			}
		}
	}
	if path := at + ".image"; d.given(path) {
		tag := s.Image[strings.LastIndex(s.Image, "/")+1:]
		switch {
		case strings.ContainsAny(s.Image, " \t") || s.Image == "":
			d.errorf(path, "write an image such as "+VLLMImage, "%q cannot be the name of an image", s.Image)
		case !strings.ContainsAny(tag, ":@") || strings.HasSuffix(tag, ":latest"):
			d.warnf(path, "name a version, such as "+VLLMImage, "the image is not pinned: replicas that start later may run another vLLM")
		}
	}
}

// engineValue is the value of the option at index i: after its =, or the next
// argument.
func engineValue(args []string, i int) string {
	if _, value, ok := strings.Cut(args[i], "="); ok {
		return value
	}
	if i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

// validateRoom: the services of a pool find room on the nodes that it may have.
func validateRoom(d *document, b *Blueprint, pool *NodePool) {
	if pool.GPUs() == 0 {
		return
	}
	nodes, kept := pool.Nodes.Max, "it may have %d (nodes.max)"
	raise := "raise nodes.max of the pool, or ask for fewer replicas or GPUs"
	if b.Addons.Autoscaler == "" {
		nodes, kept = pool.Nodes.Min, "it stays at %d (nodes.min), since nothing scales it"
		raise = "add 'clusterAutoscaler: {}' under addons, raise nodes.min of the pool, or ask for fewer replicas or GPUs"
	}
	var fixed, most []int // GPUs of each replica
	for i := range b.Serving {
		s, at := &b.Serving[i], item("serving", i)
		if s.Pool != pool.Name || !d.clean(at) || s.GPUs > pool.GPUs() {
			continue
		}
		count, where := 0, at+".replicas"
		switch {
		case s.Autoscaling != nil:
			count, where = s.Autoscaling.Min, at+".autoscaling.min"
			most = append(most, slices.Repeat([]int{s.GPUs}, s.Autoscaling.Max)...)
		case s.Replicas != nil:
			count = *s.Replicas
			most = append(most, slices.Repeat([]int{s.GPUs}, count)...)
		}
		fixed = append(fixed, slices.Repeat([]int{s.GPUs}, count)...)
		if need := nodesFor(fixed, pool.GPUs()); need > nodes {
			d.errorf(where, raise, "the services of pool %q need %d nodes, and "+kept, pool.Name, need, nodes)
			return
		}
		if need := nodesFor(most, pool.GPUs()); need > nodes && s.Autoscaling != nil {
			d.warnf(at+".autoscaling.max", raise, "with all their replicas the services of pool %q need %d nodes, and "+kept+": some will wait", pool.Name, need, nodes)
			return
		}
	}
}

// nodesFor is how many nodes replicas need: the largest first, each where it fits.
func nodesFor(replicas []int, perNode int) int {
	var free []int
	for _, gpus := range slices.Backward(slices.Sorted(slices.Values(replicas))) {
		i := slices.IndexFunc(free, func(n int) bool { return n >= gpus })
		if i < 0 {
			free, i = append(free, perNode), len(free)
		}
		free[i] -= gpus
	}
	return len(free)
}
