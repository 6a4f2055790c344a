package eks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	corev1 "k8s.io/api/core/v1"
)

// podStarts is what the pods of a cluster find in AWS when they start.
type podStarts struct {
	service *Service
	cluster *cluster
}

// nfs is the port at which nodes reach a mount target.
const nfs = 2049

// Mount implements controllers.PodStarts: the node parts of the CSI drivers of EFS
// and of Mountpoint for Amazon S3.
func (p podStarts) Mount(ctx context.Context, pod *corev1.Pod, node *corev1.Node, volume *corev1.PersistentVolume) error {
	at := fmt.Sprintf("/var/lib/kubelet/pods/%s/volumes/kubernetes.io~csi/%s/mount", pod.UID, volume.Name)
	if volume.Spec.CSI.Driver == "efs.csi.aws.com" {
		return p.mountEFS(node, volume, at)
	}
	return p.mountBucket(ctx, pod, volume, at)
}

// mountEFS mounts a folder of a file system with its helper, efs-utils. The driver
// takes the first access mode of the volume, and only two of them
// (aws-efs-csi-driver, pkg/driver/node.go, volumeCapAccessModes).
func (p podStarts) mountEFS(node *corev1.Node, volume *corev1.PersistentVolume, at string) error {
	modes := map[corev1.PersistentVolumeAccessMode]string{corev1.ReadOnlyMany: "MULTI_NODE_READER_ONLY", corev1.ReadWriteOncePod: "SINGLE_NODE_SINGLE_WRITER"}
	if len(volume.Spec.AccessModes) > 0 {
		if refused := modes[volume.Spec.AccessModes[0]]; refused != "" {
			return fmt.Errorf("rpc error: code = InvalidArgument desc = Volume capability not supported: invalid access mode: %s", refused)
		}
	}
	id, path, _ := strings.Cut(strings.TrimPrefix(volume.Spec.CSI.VolumeHandle, "efs:"), ":")
	if !strings.HasPrefix(id, "fs-") {
		return fmt.Errorf("rpc error: code = InvalidArgument desc = volume ID '%s' is invalid: Expected a file system ID of the form 'fs-[0-9a-f]{8,40}'", volume.Spec.CSI.VolumeHandle)
	}
	if path == "" {
		path = "/"
	}
	fail := func(output string) error {
		return fmt.Errorf("rpc error: code = Internal desc = Could not mount %q at %q: mount failed: exit status 1\nMounting command: mount\nMounting arguments: -t efs -o tls %s:%s %s\nOutput: %s",
			id+":"+path, at, id, path, at, output)
	}
	files, region := p.service.opts.EFS, p.cluster.key.region
	groups, ok := files.Target(region, id, node.Labels[corev1.LabelTopologyZone])
	if !ok {
		return fail(fmt.Sprintf("Failed to resolve %q - check that your file system ID is correct, and ensure that the VPC has an EFS mount target for this file system ID.", id+".efs."+region+".amazonaws.com"))
	}
	if !p.service.opts.EC2.Admits(region, groups, p.groupsOf(node.Name), nfs) {
		return fail("mount.nfs4: Connection reset by peer")
	}
	if _, ok := files.Folder(region, id, path); !ok {
		return fail("mount.nfs4: mounting 127.0.0.1:" + path + " failed, reason given by server: No such file or directory")
	}
	return nil
}

// groupsOf are the security groups of a node's instance.
func (p podStarts) groupsOf(node string) []string {
	s := p.service
	s.mu.Lock()
	defer s.mu.Unlock()
	for instance, name := range p.cluster.nodes {
		if name == node {
			i, _ := s.opts.EC2.Instance(p.cluster.key.region, instance)
			return i.Groups
		}
	}
	return nil
}

// mountBucket mounts a bucket, or a part of it, as the driver does in the name of
// the pod; a driver with a role of its own is not played.
func (p podStarts) mountBucket(ctx context.Context, pod *corev1.Pod, volume *corev1.PersistentVolume, at string) error {
	bucket, prefix := volume.Spec.CSI.VolumeAttributes["bucketName"], ""
	for _, o := range volume.Spec.MountOptions {
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(o, "--"), "prefix "); ok {
			prefix = rest
		}
	}
	fail := func(cause string) error {
		return fmt.Errorf("rpc error: code = Internal desc = Could not mount %q at %q: Mountpoint Pod failed: Error: Failed to create S3 client\n\nCaused by:\n    0: initial ListObjectsV2 failed for bucket %s in region %s\n    1: Client error\n    2: %s",
			bucket, at, bucket, p.cluster.key.region, cause)
	}
	role := p.service.associatedRole(p.cluster, pod.Namespace, pod.Spec.ServiceAccountName)
	if volume.Spec.CSI.VolumeAttributes["authenticationSource"] != "pod" {
		role = p.service.associatedRole(p.cluster, "kube-system", "s3-csi-driver-sa")
		if role == "" {
			role = p.service.nodeRole(p.cluster, pod.Spec.NodeName)
		}
	}
	cfg, err := p.service.roleConfig(p.cluster, role, pod.Spec.ServiceAccountName)
	if err != nil {
		return fail("No signing credentials available, see CSI driver documentation")
	}
	_, err = bucketClient(cfg).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, MaxKeys: aws.Int32(1)})
	var refused smithy.APIError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refused):
		return fail(err.Error())
	case refused.ErrorCode() == "AccessDenied":
		return fail("Forbidden: Access Denied")
	}
	return fail(refused.ErrorMessage())
}

func bucketClient(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
}

// Read implements controllers.PodStarts: it lists what is at an address and begins
// to read each object, as the AWS CLI does, in whose words the errors are.
func (p podStarts) Read(ctx context.Context, pod *corev1.Pod, url string) (int64, string, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(url, "s3://"), "/")
	prefix = strings.TrimSuffix(prefix, "/") + "/"
	cfg, err := p.service.podConfig(p.cluster, pod.Namespace, pod.Spec.ServiceAccountName, pod.Spec.NodeName)
	if err != nil {
		return 0, "", errors.New("aws: [ERROR]: An error occurred (NoCredentials): Unable to locate credentials")
	}
	client, sum, bytes := bucketClient(cfg), sha256.New(), int64(0)
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, "", cliError("aws: [ERROR]: ", "ListObjectsV2", err)
		}
		for _, o := range page.Contents {
			if aws.ToInt64(o.Size) > 0 {
				out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: o.Key, Range: aws.String("bytes=0-0")})
				if err != nil {
					return 0, "", cliError("download failed: s3://"+bucket+"/"+*o.Key+" ", "GetObject", err)
				}
				out.Body.Close() //nolint:errcheck // one byte of it is enough
			}
			bytes += aws.ToInt64(o.Size)
			fmt.Fprintln(sum, *o.Key, aws.ToInt64(o.Size), aws.ToString(o.ETag))
		}
	}
	if bytes == 0 {
		return 0, "", fmt.Errorf("there is nothing at %s/", strings.TrimSuffix(url, "/"))
	}
	return bytes, hex.EncodeToString(sum.Sum(nil)), nil
}

// cliError is a failed call in the AWS CLI's words.
func cliError(before, operation string, err error) error {
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("%sAn error occurred (%s) when calling the %s operation: %s", before, refused.ErrorCode(), operation, refused.ErrorMessage())
}

// Write implements controllers.PodStarts.
func (p podStarts) Write(volume *corev1.PersistentVolume, folder, content string, bytes int64) {
	csi := volume.Spec.CSI
	if csi == nil || csi.Driver != "efs.csi.aws.com" || !slices.Contains(volume.Spec.AccessModes, corev1.ReadWriteMany) {
		return
	}
	id, path, _ := strings.Cut(csi.VolumeHandle, ":")
	p.service.opts.EFS.Write(p.cluster.key.region, id, strings.TrimSuffix(path, "/")+"/"+folder, content, bytes)
}
