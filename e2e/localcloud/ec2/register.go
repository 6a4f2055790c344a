package ec2

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"aicluster/e2e/localcloud/wire"
)

// api has the operations as methods, apart from the Go methods of [Service]
// that other services call.
type api struct{ *Service }

// Register adds EC2's operations to w.
func (s *Service) Register(w *wire.Server) {
	w.Honours("ec2", "ec2", goFiles)
	a := api{s}
	for _, register := range []func(*wire.Server, api){
		registerZones, registerVPCs, registerSubnets, registerGateways, registerAddresses, registerNATs, registerRouteTables, registerEndpoints,
		registerGroups, registerInterfaces, registerTypes, registerTemplates, registerInstances, registerVolumes, registerImages,
		registerReservations, registerPlacements, registerSpot, registerFleets, registerTags,
	} {
		register(w, a)
	}
}

// Inventory lists what the account holds in all regions, sorted, as
// "ec2/type region/id name". What AWS makes with a VPC is not listed, nor what
// is deleted and only still visible.
func (s *Service) Inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, r := range s.regions {
		add := func(kind, id, name string) {
			if name == "" {
				name = r.tags[id]["Name"]
			}
			list = append(list, fmt.Sprintf("ec2/%s %s/%s %s", kind, r.name, id, name))
		}
		r.networkInventory(add)
		for id, x := range r.templates.all() {
			add("launch-template", id, x.name)
		}
		for id, x := range r.instances.all() {
			if !x.ended() {
				add("instance", id, "")
			}
		}
		for id := range r.volumes.all() {
			add("volume", id, "")
		}
		for id, x := range r.reservations.all() {
			if x.state == types.CapacityReservationStateActive {
				add("capacity-reservation", id, "")
			}
		}
		for id, x := range r.placements.all() {
			add("placement-group", id, x.name)
		}
	}
	slices.Sort(list)
	return list
}

func (r *region) networkInventory(add func(kind, id, name string)) {
	for id := range r.vpcs.all() {
		add("vpc", id, "")
	}
	for id := range r.subnets.all() {
		add("subnet", id, "")
	}
	for id := range r.gateways.all() {
		add("internet-gateway", id, "")
	}
	for id := range r.addresses.all() {
		add("elastic-ip", id, "")
	}
	for id, x := range r.nats.all() {
		if x.state != types.NatGatewayStateDeleted && x.state != types.NatGatewayStateFailed {
			add("nat-gateway", id, "")
		}
	}
	for id, x := range r.routeTables.all() {
		if v, ok := r.vpcs.get(x.vpc); !ok || v.mainTable != id {
			add("route-table", id, "")
		}
	}
	for id := range r.endpoints.all() {
		add("vpc-endpoint", id, "")
	}
	for id, x := range r.groups.all() {
		if x.name != "default" {
			add("security-group", id, x.name)
		}
	}
	for id, x := range r.interfaces.all() {
		add("network-interface", id, x.description)
	}
}

func validJSON(policy string) error {
	if !json.Valid([]byte(policy)) {
		return fail("InvalidPolicyDocument", "Invalid policy document: The policy is not in the valid JSON format.")
	}
	return nil
}
