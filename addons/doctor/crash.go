package doctor

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Container names a container of a pod.
type Container struct{ Namespace, Pod, Name string }

// Ended lists the containers that ended in failure, whose last lines tell why,
// and whether those are of the container's previous life.
func (e *Evidence) Ended() map[Container]bool {
	out := map[Container]bool{}
	for i := range e.Pods {
		pod := &e.Pods[i]
		for _, c := range statuses(pod) {
			if end, previous := lastFailure(c); end != nil && !ready(pod) {
				out[Container{pod.Namespace, pod.Name, c.Name}] = previous
			}
		}
	}
	return out
}

// lastFailure is how a container that does not run now ended, nil if it did not fail.
func lastFailure(c corev1.ContainerStatus) (end *corev1.ContainerStateTerminated, previous bool) {
	switch {
	case c.State.Terminated != nil:
		end = c.State.Terminated
	case c.State.Waiting != nil:
		end, previous = c.LastTerminationState.Terminated, true
	}
	if end == nil || end.ExitCode == 0 {
		return nil, false
	}
	return end, previous
}

// crash is how a container ended.
type crash struct {
	pod       *corev1.Pod
	container corev1.Container
	end       *corev1.ContainerStateTerminated // nil if it is not known
	log       string                           // its last lines, and its termination message
	bucket    string
}

// crashed says why a container ended: from how the kernel or the kubelet ended
// it, then from its last lines, then from its exit code.
func (e *Evidence) crashed(f *Finding, pod *corev1.Pod, c corev1.ContainerStatus, end *corev1.ContainerStateTerminated) {
	k := crash{pod: pod, container: spec(pod, c.Name), end: end, log: e.Logs[Container{pod.Namespace, pod.Name, c.Name}], bucket: e.Bucket}
	if end != nil && end.Message != "" {
		k.log += "\n" + end.Message
	}
	line := ""
	switch {
	case end != nil && end.Reason == "OOMKilled":
		k.outOfMemory(f)
	case k.byLog(f, &line):
	case e.killedByProbe(f, pod, c.Name):
	default:
		k.byExitCode(f)
		line = lastLine(k.log)
	}
	if line != "" && !strings.Contains(f.Message, line) {
		f.Message += "; its log: " + line
	}
}

// outOfMemory: the kernel ended it since the node's memory, not the GPU's, was
// used up to the container's limit.
func (k crash) outOfMemory(f *Finding) {
	f.Reason, f.What = "OutOfMemory", fmt.Sprintf("container %s used more memory than its limit, and the kernel ended it (OOMKilled)", k.container.Name)
	limit, ok := k.container.Resources.Limits[corev1.ResourceMemory]
	now := "it has none: the node's own memory was used up"
	if ok {
		now = "now " + limit.String()
	}
	f.Next = mend(k.pod, fmt.Sprintf("raise resources.limits.memory (%s) and requests.memory", now),
		fmt.Sprintf("raise the memory limit (%s) and request of container %s", now, k.container.Name)) +
		"; it is the host's memory that counts here, not the GPU's"
}

// An ending is what last lines tell, by words of the software that wrote them:
// vLLM and PyTorch (vllm/v1/core/kv_cache_utils.py, vllm/v1/worker/utils.py, torch's
// CUDACachingAllocator), the AWS CLI, s5cmd and the AWS SDKs, Python's argparse.
type ending struct {
	reason string
	words  []string
	what   string
	next   func(crash) string
}

func endings() []ending {
	return []ending{
		{"ContextTooLong", []string{"larger than the available KV cache memory", "larger than the maximum number of tokens that can be stored in KV cache", "No available memory for the cache blocks"},
			"the GPU's memory holds the weights, but not the cache for one request of the longest context", func(k crash) string {
				return k.args("--max-model-len=N with a smaller N (vLLM's line says how long it can be), or --gpu-memory-utilization closer to 0.95, or more gpus")
			}},
		{"GPUMemoryInUse", []string{"is less than desired GPU memory utilization"},
			"something else uses memory of the GPU already", func(k crash) string {
				return "see what by 'nvidia-smi' on the node (a process that outlived its pod, another GPU client); or " + k.args("a lower --gpu-memory-utilization")
			}},
		{"OutOfGPUMemory", []string{"CUDA out of memory", "torch.OutOfMemoryError", "torch.cuda.OutOfMemoryError", "CUDA error: out of memory"},
			"the GPU's memory is too small (CUDA out of memory)", func(k crash) string {
				return k.args("a shorter --max-model-len, a lower --max-num-seqs or --gpu-memory-utilization, or a quantized model") + "; if the weights alone do not fit, more gpus for each replica, or a pool with larger GPUs"
			}},
		{"UnknownArgument", []string{"unrecognized arguments:", "invalid choice:", "unknown flag:", "flag provided but not defined"},
			"the program does not know one of its arguments", func(k crash) string { return k.args("arguments that this version knows") }},
		{"NoGPUInContainer", []string{"No CUDA GPUs are available", "no CUDA-capable device", "Failed to infer device type", "Found no NVIDIA driver", "libcuda.so.1: cannot open shared object file"},
			"the container finds no GPU", func(crash) string {
				return "check that the container asks for nvidia.com/gpu, and the node's GPUs with 'aicluster verify FILE'"
			}},
		{"TooFewGPUs", []string{"is greater than the number of available GPUs", "exceeds the number of available GPUs", "invalid device ordinal"},
			"the engine wants more GPUs than the container has", func(k crash) string {
				return k.args("--tensor-parallel-size equal to gpus")
			}},
		{"ModelNotAllowed", []string{"(AccessDenied)", "AccessDenied", "403 Forbidden", "status code: 403", "(403)", "Unable to locate credentials", "Error when retrieving credentials", "NoCredentialProviders", "failed to refresh cached credentials", "InvalidAccessKeyId"},
			"S3 does not let the pod read the model", func(k crash) string {
				return "the service account's role must allow s3:GetObject and s3:ListBucket on the model's prefix: 'aicluster up FILE' puts the pod identity right; then delete the pod, since it took its credentials when it began"
			}},
		{"ModelMissing", []string{"NoSuchKey", "NoSuchBucket", "no object found", "(404)", "status code: 404", "Key does not exist", "does not exist in the bucket", "not found in the bucket", "is not in the bucket", "there is nothing at s3://", "404 Not Found"},
			"the model is not in S3", func(k crash) string {
				if k.bucket == "" {
					return "check the model's address"
				}
				return "upload it: aicluster models push FILE (what is in s3://" + k.bucket + ": aicluster models list FILE); the pod goes on by itself"
			}},
		{"ModelBroken", []string{"Error while deserializing header", "checksum", "have the size that S3 says", "was changed while it was copied", "SafetensorError", "is not a valid JSON file", "Can't load the configuration of", "does not appear to have a file named"},
			"the weights are not whole, or not a model", func(crash) string {
				return "compare the folder with its source and upload it again: aicluster models push FILE"
			}},
		{"DiskFull", []string{"No space left on device"},
			"the disk is full", func(k crash) string {
				return "give the pool localStorage: raid0 (types with NVMe) or a larger rootVolume.sizeGiB"
			}},
	}
}

// byLog finds the ending that the last lines tell, with the line that does.
func (k crash) byLog(f *Finding, line *string) bool {
	for _, ending := range endings() {
		for l := range strings.Lines(k.log) {
			if says(l, ending.words...) {
				f.Reason, f.What, f.Next = ending.reason, "container "+k.container.Name+": "+ending.what, ending.next(k)
				*line = strings.TrimSpace(l)
				return true
			}
		}
	}
	return false
}

// byExitCode is what is left when nobody said why.
func (k crash) byExitCode(f *Finding) {
	f.Reason, f.What = "Crash", "container "+k.container.Name+" ends by itself"
	f.Next = fmt.Sprintf("read its last lines: kubectl -n %s logs %s -c %s --previous", k.pod.Namespace, k.pod.Name, k.container.Name)
	if name := service(k.pod.Labels); name != "" {
		f.Next = fmt.Sprintf("read its last lines: aicluster logs %s FILE --previous", name)
	}
	if k.end == nil {
		return
	}
	switch k.end.ExitCode {
	case 0:
		f.What += " although it did not fail"
		f.Next = "a pod that is to end belongs into a Job; a server must stay in the foreground"
	case 126, 127:
		f.Reason, f.What = "CommandNotFound", "the image has no such command as container "+k.container.Name+" is to run"
		f.Next = mend(k.pod, "correct image or args", "correct command and args")
	case 137:
		f.Reason, f.What = "Killed", "container "+k.container.Name+" was killed (SIGKILL)"
		f.Next = "the kernel for want of memory on the node, or a probe: kubectl -n " + k.pod.Namespace + " describe pod " + k.pod.Name
	case 139:
		f.Reason, f.What = "Crash", "container "+k.container.Name+" crashes (segmentation fault)"
	}
}

// args is where the arguments of a container are changed.
func (k crash) args(which string) string {
	return mend(k.pod, "give args "+which, "give container "+k.container.Name+" "+which+", in the spec")
}

// lastLine is the last line with something in it.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
