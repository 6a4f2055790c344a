package kube

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Judged tells that what a pod needs at its start is not Kubernetes' affair alone:
// it mounts a claim, or reads from S3. The played kubelets leave such a pod to
// whoever knows (package controllers), unless it is in trouble that they play.
func Judged(pod *corev1.Pod) bool {
	if _, ok := troubleOf(pod); ok {
		return false
	}
	if slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil }) {
		return true
	}
	reads := func(c corev1.Container) bool { return Reads(c) != "" }
	return slices.ContainsFunc(pod.Spec.InitContainers, reads) || slices.ContainsFunc(pod.Spec.Containers, reads)
}

// Reads is the address in S3 that a container reads when it starts, if it is one of
// those whose ways are known: the AWS CLI's image, whatever its script makes of the
// first address that it is told, and vLLM, which streams a model whose address is
// one of S3.
func Reads(c corev1.Container) string {
	image := c.Image[strings.LastIndexByte(c.Image, '/')+1:]
	name, _, _ := strings.Cut(image, ":")
	words := slices.Concat(c.Command, c.Args)
	if name == "aws-cli" {
		for _, e := range c.Env {
			words = append(words, e.Value)
		}
	} else if !slices.Contains(words, "runai_streamer") {
		return ""
	}
	for _, w := range words {
		if strings.HasPrefix(w, "s3://") && !strings.ContainsAny(w, " \n") {
			return w
		}
	}
	return ""
}
