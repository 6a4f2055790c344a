package serving

import "time"

const (
	// engineStart is how long vLLM may take to start without the weights: to compile
	// and to record CUDA graphs.
	engineStart = 10 * time.Minute
	// loadRate, in bytes a second, is the slowest that weights are read at: from a
	// network file system with little in it.
	loadRate = 100 << 20
	// unknownSize is the time for weights whose size is not known.
	unknownSize = 20 * time.Minute
	// step rounds the times, so that a file more or less does not start pods anew.
	step = 5 * time.Minute
	// nodeStart is how long a node may take to come, with its GPUs, and to pull the image.
	nodeStart = 20 * time.Minute
)

// loadLimit is how long reading the weights once may take.
func loadLimit(f Facts) time.Duration {
	if f.ModelBytes == 0 {
		return unknownSize
	}
	d := time.Duration(f.ModelBytes/loadRate) * time.Second
	return (d + step - 1) / step * step
}

// StartLimit is how long an engine may take from its start until it is healthy.
func StartLimit(f Facts) time.Duration { return engineStart + loadLimit(f) }

// ReadyLimit is how long a replica may take from nothing: a node for it, the image,
// the weights, the engine.
func ReadyLimit(f Facts) time.Duration { return nodeStart + loadLimit(f) + StartLimit(f) }
