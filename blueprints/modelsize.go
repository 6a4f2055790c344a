package blueprints

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aicluster/blueprints/instancetypes"
)

// ModelSize is what a model takes, in bytes.
type ModelSize struct {
	Files   int64 // all of it
	Weights int64 // of that, what goes to the GPUs' memory
}

// SizeOf adds up the files of a model: their sizes by their paths in its folder.
//
// vLLM loads the safetensors files in the folder itself, or if there are none, those
// of other formats. Beside them a model often has the same weights once more, in a
// format of its maker's: in a folder below, or as consolidated.*.
func SizeOf(files map[string]int64) ModelSize {
	var s ModelSize
	var formats [3]int64 // safetensors, consolidated safetensors, others
	for name, size := range files {
		s.Files += size
		switch {
		case strings.Contains(name, "/"):
		case strings.HasSuffix(name, ".safetensors") && strings.HasPrefix(name, "consolidated"):
			formats[1] += size
		case strings.HasSuffix(name, ".safetensors"):
			formats[0] += size
		case slices.Contains([]string{".bin", ".pt", ".pth", ".gguf"}, filepath.Ext(name)):
			formats[2] += size
		}
	}
	for _, size := range formats {
		if s.Weights == 0 {
			s.Weights = size
		}
	}
	return s
}

// SizeOfModel measures the folder of a model of the blueprint; zero if there is none.
func (b *Blueprint) SizeOfModel(name string) ModelSize {
	if b.Models != nil {
		for _, seed := range b.Models.Seed {
			if seed.Name == name {
				return b.size(seed)
			}
		}
	}
	return ModelSize{}
}

// size measures a seed's folder; zero if it cannot be read, or not in a moment.
func (b *Blueprint) size(seed Seed) ModelSize {
	const most = 10_000 // files; a model has some dozens
	files := map[string]int64{}
	root := b.Path(seed.From)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(e.Name(), ".") && path != root:
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir():
			return nil
		case len(files) == most:
			return fs.SkipAll
		}
		info, err := os.Stat(path) // a hub's cache is made of links
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files[filepath.ToSlash(name)] = info.Size()
		return err
	})
	if err != nil || len(files) == most {
		return ModelSize{}
	}
	return SizeOf(files)
}

const (
	gib = 1 << 30
	gb  = 1_000_000_000
	// imageRoom is what the images of a GPU node take of its disk, in bytes: vLLM's,
	// the GPU operator's.
	imageRoom = 50 * gib
	// weightShare is the part of GPU memory that weights may take where a number of
	// GPUs is proposed; the rest is for requests.
	weightShare = 0.8
)

// TooSmallFor says why a model of this size does not go onto a replica of the
// service on this pool, and what to do about it; why is empty if it does. A size
// that is not known goes.
func (p *NodePool) TooSmallFor(s Service, size ModelSize) (why, hint string) {
	for _, name := range p.InstanceTypes {
		info, ok := instancetypes.Lookup(name)
		if !ok || info.GPUs == 0 {
			continue
		}
		if have := int64(s.GPUs) * int64(info.GPUMemoryMiB) << 20; size.Weights > have && !s.shrinks() {
			return fmt.Sprintf("its weights have %s, and %s of %s %s", gibText(size.Weights), gpusText(s.GPUs, info), name, haveText(s.GPUs, have)),
				moreGPUs(size.Weights, info)
		}
		if disk := p.disk(info); s.Load == LoadCopy && disk > 0 && size.Files > disk {
			return fmt.Sprintf("its files have %s, and the disks of %s have room for %s beside images", gibText(size.Files), name, gibText(disk)),
				"write 'load: stream', which needs no disk, or choose a type with larger disks"
		}
	}
	return "", ""
}

// shrinks tells that the weights are made smaller on their way to the GPUs, or do
// not all go there.
func (s Service) shrinks() bool {
	return slices.ContainsFunc(s.Args, func(arg string) bool {
		return slices.Contains([]string{"--quantization", "--cpu-offload-gb", "--offload-group-size"}, EngineArg(arg)) || arg == "-q"
	})
}

// disk is the room for models on a node: in bytes, 0 if it is not known.
func (p *NodePool) disk(info instancetypes.Info) int64 {
	var total int64
	switch {
	case p.LocalStorage == "raid0":
		total = int64(info.NVMeTotalGB()) * gb
	case p.LocalStorage == "mount" && len(info.NVMeGB) > 0:
		return int64(info.NVMeGB[0]) * gb // images are elsewhere
	default:
		total = int64(p.RootVolume.SizeGiB) * gib
	}
	return max(total-imageRoom, 1)
}

func gpusText(n int, info instancetypes.Info) string {
	if n == 1 {
		return "the one " + info.GPUName
	}
	return fmt.Sprintf("the %d %s", n, info.GPUName)
}

func haveText(n int, bytes int64) string {
	if n == 1 {
		return "has " + gibText(bytes)
	}
	return "have " + gibText(bytes) + " together"
}

func moreGPUs(weights int64, info instancetypes.Info) string {
	needed := math.Ceil(float64(weights) / (weightShare * float64(info.GPUMemoryMiB) * (1 << 20)))
	n := 1
	for float64(n) < needed { // models are split into powers of two
		n *= 2
	}
	if n > info.GPUs {
		return fmt.Sprintf("a node has %s: choose a pool with more or larger GPUs, or a model with fewer bits a weight", gpus(info))
	}
	return fmt.Sprintf("write 'gpus: %d', or choose a pool with larger GPUs", n)
}

func gibText(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/gib) }
