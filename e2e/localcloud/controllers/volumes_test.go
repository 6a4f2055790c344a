package controllers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"aicluster/e2e/localcloud/awstest"
	"aicluster/e2e/localcloud/clock"
	"aicluster/e2e/localcloud/ec2"
	"aicluster/e2e/localcloud/iam"
	"aicluster/e2e/localcloud/kube"
)

// diskCluster is a cluster whose one node is an instance of a real local EC2.
type diskCluster struct {
	*testCluster
	ec2      *sdk.Client
	instance string
}

func startDiskCluster(t *testing.T) *diskCluster {
	c := startCluster(t)
	speed := clock.New(1000)
	service := ec2.New(speed, iam.New(speed))
	t.Cleanup(service.Close)
	api := sdk.NewFromConfig(awstest.Start(t, service.Register))
	vpc := awstest.Must(api.CreateVpc(t.Context(), &sdk.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc
	zone := awstest.Region + "b"
	subnet := awstest.Must(api.CreateSubnet(t.Context(), &sdk.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: &zone}))(t).Subnet
	image, _, _ := service.EKSImage(awstest.Region, "AL2023_x86_64_STANDARD", "1.35", "")
	out := awstest.Must(api.RunInstances(t.Context(), &sdk.RunInstancesInput{
		ImageId: &image, InstanceType: "m6i.large", MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: subnet.SubnetId,
	}))(t)
	d := &diskCluster{testCluster: c, ec2: api, instance: *out.Instances[0].InstanceId}
	c.eventually("the instance", func() error {
		if i, _ := service.Instance(awstest.Region, d.instance); i.State != "running" {
			return fmt.Errorf("%s", i.State)
		}
		return nil
	})
	c.addon("vpc-cni")
	size := corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("32Gi"), "pods": resource.MustParse("50")}
	if err := c.plane.AddNode(t.Context(), kube.Node{
		Name: "node", ProviderID: "aws:///" + zone + "/" + d.instance, InstanceType: "m6i.large", Zone: zone, Region: awstest.Region, Capacity: size, InternalIP: "10.0.0.5",
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

// class makes a storage class of the EBS driver.
func (d *diskCluster) class(name string, policy corev1.PersistentVolumeReclaimPolicy) {
	d.Helper()
	wait := storagev1.VolumeBindingWaitForFirstConsumer
	awstest.Must(d.client.StorageV1().StorageClasses().Create(d.Context(), &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: ebsDriver, ReclaimPolicy: &policy, VolumeBindingMode: &wait,
		Parameters: map[string]string{"type": "gp3", "tagSpecification_1": "team=ml"},
	}, metav1.CreateOptions{}))(d.T)
}

func (d *diskCluster) claim(name, class string) {
	d.Helper()
	awstest.Must(d.client.CoreV1().PersistentVolumeClaims("default").Create(d.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2500Mi")}},
		},
	}, metav1.CreateOptions{}))(d.T)
}

// pod makes a pod that mounts a claim of its own name.
func (d *diskCluster) pod(name string) {
	d.Helper()
	awstest.Must(d.client.CoreV1().Pods("default").Create(d.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "main", Image: "busybox", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
			}}},
		},
	}, metav1.CreateOptions{}))(d.T)
}

func (d *diskCluster) remove(name string) {
	d.Helper()
	if err := d.client.CoreV1().PersistentVolumeClaims("default").Delete(d.Context(), name, metav1.DeleteOptions{}); err != nil {
		d.Fatal(err)
	}
	if err := d.client.CoreV1().Pods("default").Delete(d.Context(), name, metav1.DeleteOptions{}); err != nil {
		d.Fatal(err)
	}
}

// disk returns the EBS volume of a claim, nil if there is none.
func (d *diskCluster) disk(claim string) *ec2types.Volume {
	d.Helper()
	out := awstest.Must(d.ec2.DescribeVolumes(d.Context(), &sdk.DescribeVolumesInput{
		Filters: []ec2types.Filter{{Name: aws.String("tag:kubernetes.io/created-for/pvc/name"), Values: []string{claim}}},
	}))(d.T)
	if len(out.Volumes) > 1 {
		d.Fatalf("%d volumes of claim %s", len(out.Volumes), claim)
	}
	if len(out.Volumes) == 0 {
		return nil
	}
	return &out.Volumes[0]
}

func (d *diskCluster) diskBecomes(claim string, want ec2types.VolumeState) *ec2types.Volume {
	d.Helper()
	var got *ec2types.Volume
	d.eventually("the volume of "+claim, func() error {
		if got = d.disk(claim); got == nil || got.State != want {
			return fmt.Errorf("%+v, want %s", got, want)
		}
		return nil
	})
	return got
}

// event waits for an event of an object whose message contains words.
func (d *diskCluster) event(object, reason, words string) {
	d.Helper()
	d.eventually("event "+reason, func() error {
		list, err := d.client.CoreV1().Events("default").List(d.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + object + ",reason=" + reason})
		if err != nil {
			return err
		}
		for _, e := range list.Items {
			if strings.Contains(e.Message, words) {
				return nil
			}
		}
		return fmt.Errorf("none of %d has %q", len(list.Items), words)
	})
}

// TestVolumes follows claims of the EBS driver from a driver that is not there to
// volumes that are deleted, or kept.
func TestVolumes(t *testing.T) {
	d := startDiskCluster(t)
	d.class("gp3", corev1.PersistentVolumeReclaimDelete)
	d.class("keep", corev1.PersistentVolumeReclaimRetain)
	d.claim("data", "gp3")
	d.claim("idle", "gp3") // no pod ever asks for it
	d.pod("data")

	t.Log("without the driver a claim waits")
	d.event("data", "ExternalProvisioning", "Waiting for a volume to be created either by the external provisioner 'ebs.csi.aws.com'")

	t.Log("a driver without a role fails")
	d.addon("aws-ebs-csi-driver")
	d.event("data", "ProvisioningFailed", `failed to provision volume with StorageClass "gp3": rpc error: code = Internal desc = Could not create volume "pvc-`)

	t.Log("with one it makes the volume in the node's zone and attaches it")
	d.setDisks(d.ec2)
	disk := d.diskBecomes("data", ec2types.VolumeStateInUse)
	tags := map[string]string{}
	for _, tag := range disk.Tags {
		tags[*tag.Key] = *tag.Value
	}
	if *disk.Size != 3 || disk.VolumeType != ec2types.VolumeTypeGp3 || *disk.AvailabilityZone != awstest.Region+"b" || *disk.Attachments[0].InstanceId != d.instance || *disk.Attachments[0].Device != "/dev/xvdaa" {
		t.Errorf("volume %+v", disk)
	}
	for key, want := range map[string]string{
		"CSIVolumeName": tags["kubernetes.io/created-for/pv/name"], "ebs.csi.aws.com/cluster": "true", "kubernetes.io/cluster/demo": "owned", "KubernetesCluster": "demo",
		"kubernetes.io/created-for/pvc/namespace": "default", "Name": "demo-dynamic-" + tags["CSIVolumeName"], "team": "ml",
	} {
		if tags[key] != want {
			t.Errorf("tag %s is %q, want %q", key, tags[key], want)
		}
	}
	d.event("data", "ProvisioningSucceeded", "Successfully provisioned volume pvc-")
	d.event("data", "SuccessfulAttachVolume", "AttachVolume.Attach succeeded for volume")
	if d.disk("idle") != nil {
		t.Error("a claim that waits for its first consumer has a volume")
	}

	t.Log("EC2 refuses to delete it, and it goes with its claim")
	_, err := d.ec2.DeleteVolume(t.Context(), &sdk.DeleteVolumeInput{VolumeId: disk.VolumeId})
	awstest.Fails(t, err, 400, "VolumeInUse", "is currently attached to "+d.instance)
	d.remove("data")
	d.eventually("the volume's end", func() error {
		volumes, err := d.client.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
		if left := d.disk("data"); left != nil || err != nil || len(volumes.Items) > 0 {
			return fmt.Errorf("%+v, %v, %v", left, volumes.Items, err)
		}
		return nil
	})

	t.Log("a volume to be retained outlives its claim")
	d.claim("kept", "keep")
	d.pod("kept")
	d.diskBecomes("kept", ec2types.VolumeStateInUse)
	d.remove("kept")
	d.diskBecomes("kept", ec2types.VolumeStateAvailable)
	d.eventually("the volume's object", func() error {
		volumes, err := d.client.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
		if err != nil || len(volumes.Items) != 1 || volumes.Items[0].Status.Phase != corev1.VolumeReleased {
			return fmt.Errorf("%v, %v", volumes.Items, err)
		}
		return nil
	})
}
