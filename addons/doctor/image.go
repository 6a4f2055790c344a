package doctor

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// unpulled says why an image cannot be had, from the words of the container
// runtime and of the registry behind it.
func (e *Evidence) unpulled(f *Finding, pod *corev1.Pod, c corev1.ContainerStatus) {
	image := c.Image
	if s := spec(pod, c.Name); s.Image != "" {
		image = s.Image
	}
	words := c.State.Waiting.Message
	if v := e.event("Pod", pod.Namespace, pod.Name, "Failed"); v != nil && strings.Contains(v.Message, "Failed to pull image") {
		words += " " + v.Message // a back-off of older versions says only that it waits
		if !strings.Contains(f.Message, ": rpc error") {
			f.Message += ": " + v.Message
		}
	}
	change := mend(pod, "correct image", "correct the image")
	switch {
	case c.State.Waiting.Reason == "InvalidImageName":
		f.Reason, f.What, f.Next = "InvalidImageName", image+" is not an image's name", change
	case c.State.Waiting.Reason == "ErrImageNeverPull":
		f.Reason, f.What, f.Next = "ImageNotOnNode", "imagePullPolicy is Never and the node has no image "+image, "set imagePullPolicy to IfNotPresent"
	case says(words, "toomanyrequests", "429 Too Many Requests", "pull rate limit", "TOOMANYREQUESTS"):
		f.Reason, f.What = "ImageRateLimit", "the registry takes no more pulls of "+image+" for now"
		f.Next = "wait (Docker Hub counts per address and hour, and all nodes share the NAT gateway's), log in with an imagePullSecret, or mirror the image to ECR and name it there"
	case says(words, "pull access denied", "403 Forbidden", "401 Unauthorized", "authorization failed", "no basic auth credentials", "authentication required", "insufficient_scope", "denied:"):
		f.Reason, f.What = "ImageNoAccess", "the registry does not give "+image+" to the nodes"
		f.Next = "check the name first: Docker Hub says the same of images that do not exist; else add an imagePullSecret to the service account, or for ECR let the repository's policy allow the role of the nodes"
	case says(words, "not found", "manifest unknown", "name unknown", "NotFound", "does not exist"):
		f.Reason, f.What, f.Next = "ImageNotFound", "there is no image "+image, change
	case says(words, "no match for platform", "exec format error"):
		f.Reason, f.What, f.Next = "ImageOtherPlatform", image+" is not built for the node's architecture", change
	case says(words, "no space left on device"):
		f.Reason, f.What, f.Next = "DiskFull", "the node's disk has no room for "+image, "give the pool a larger rootVolume.sizeGiB, or localStorage: raid0 on types with NVMe"
	case says(words, "no such host", "i/o timeout", "connection refused", "dial tcp", "TLS handshake timeout", "EOF"):
		f.Reason, f.What = "RegistryNotReached", "the node does not reach the registry of "+image
		f.Next = "check the way out of the private subnets (network.natGateways, VPC endpoints) and DNS, or mirror the image to ECR"
	default:
		f.Reason, f.What = "ImageNotPulled", "the image "+image+" cannot be pulled"
		f.Next = "read the registry's words; " + change
	}
}

// says tells whether a text has one of the words in it.
func says(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
