package ec2

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// This file has the small types by which the other services of the local cloud
// talk to EC2. They are snapshots: changing one changes nothing in EC2.

// Markets that an instance is bought in.
const (
	OnDemand = "on-demand"
	Spot     = "spot"
)

// VPC is a network.
type VPC struct {
	ID, CIDR string
	CIDRs    []string // all of them, the primary one first
	Tags     map[string]string
}

// Subnet is a part of a VPC in one zone.
type Subnet struct {
	ID, VPC, CIDR string
	Zone, ZoneID  string // ap-northeast-2a, apne2-az1
	Available     int    // free IPv4 addresses
	Public        bool   // its route table leads to an internet gateway
	Tags          map[string]string
}

// GroupSpec asks for a security group.
type GroupSpec struct {
	VPC, Name, Description string
	Tags                   map[string]string
}

// Group is a security group.
type Group struct {
	ID, VPC, Name string
	Tags          map[string]string
}

// InterfaceSpec asks for a network interface that another service manages.
type InterfaceSpec struct {
	SubnetID    string
	Groups      []string // the VPC's default group when empty
	Description string   // "ELB net/…", "Amazon EKS <cluster>"
	Owner       string   // requester id, such as amazon-elb
	Type        types.NetworkInterfaceType
	PublicIP    bool // with a public address that Owner owns; it holds the internet gateway
	// Unmanaged is for interfaces that the account itself may delete, as those
	// that the VPC CNI leaves behind.
	Unmanaged bool
	// InUse attaches the interface to something of Owner.
	InUse bool
	Tags  map[string]string
}

// Interface is a network interface.
type Interface struct {
	ID, SubnetID, VPC, Zone string
	PrivateIP, PublicIP     string
	MAC, Description        string
	InstanceID              string
	Groups                  []string
	Status                  string // available, in-use
	Tags                    map[string]string
}

// TemplateSpec asks for a launch template.
type TemplateSpec struct {
	Name string
	Data types.RequestLaunchTemplateData
	Tags map[string]string
	// CreatedBy is the ARN of who asks; the account's root when empty.
	CreatedBy string
}

// Template is one version of a launch template.
type Template struct {
	ID, Name                 string
	Version, Default, Latest int64
	Data                     types.ResponseLaunchTemplateData
	Tags                     map[string]string
}

// LaunchSpec asks for one instance.
type LaunchSpec struct {
	Type     string // the template's when empty
	SubnetID string
	Market   string // [OnDemand] (also when empty) or [Spot]
	// Template is an id or a name; TemplateVersion a number, $Latest or
	// $Default (also when empty). What the spec says itself wins over it.
	Template, TemplateVersion string
	ImageID                   string
	Groups                    []string
	Tags                      map[string]string // of the instance
	InstanceProfile           string            // name or ARN
	UserData                  string
	VolumeGiB                 int // of the root volume; 0 is the template's or the image's
}

// Instance is an instance.
type Instance struct {
	ID, Type, ImageID   string
	State               string // pending, running, shutting-down, terminated
	Market              string
	SubnetID, VPC       string
	Zone, ZoneID        string
	PrivateIP, PublicIP string
	PrivateDNSName      string // ip-10-42-1-17.ap-northeast-2.compute.internal
	Architecture        string // x86_64, arm64
	Template            string // id
	TemplateVersion     int64
	InstanceProfile     string // ARN
	UserData            string
	Groups, Interfaces  []string
	CapacityReservation string
	Launched, Running   time.Time // Running is when it will be, or was, running
	Tags                map[string]string
	TerminationReason   string
}

// GPU is one kind of accelerator of an instance type.
type GPU struct {
	Name, Manufacturer string // A100, NVIDIA
	Count, MemoryMiB   int    // memory of each
}

// TypeInfo is what an instance type offers.
type TypeInfo struct {
	Name, Architecture string
	VCPUs, MemoryMiB   int
	GPU                GPU // zero if there is none
	NVMeDisks          int
	NVMeGB             int // of all disks
	EFA                int // EFA interfaces at most
	ENIs, IPsPerENI    int // ENIs counts all network cards
	CardENIs           int // interfaces of network card 0, which the VPC CNI uses
	UsageClasses       []string
	Info               types.InstanceTypeInfo
}
