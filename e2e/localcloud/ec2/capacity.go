package ec2

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"aicluster/e2e/localcloud/wire"
)

// capacityKey names a pool of spare instances; an empty zone or market stands
// for all.
type capacityKey struct{ instanceType, zone, market string }

// SetCapacity says how many instances of a type may run at once in a zone in a
// market ([OnDemand] or [Spot]; an empty zone or market means every one). A
// negative n means as many as wanted, which is also the default: it lifts every
// limit within what it names, also one that was set more narrowly.
func (s *Service) SetCapacity(region, instanceType, zone, market string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(region)
	if n >= 0 {
		r.capacity[capacityKey{instanceType, zone, market}] = n
		return
	}
	maps.DeleteFunc(r.capacity, func(k capacityKey, _ int) bool {
		return k.instanceType == instanceType && (zone == "" || k.zone == zone) && (market == "" || k.market == market)
	})
}

// hasCapacity tells whether one more instance of the type can start.
func (r *region) hasCapacity(instanceType, zone, market string) bool {
	for _, key := range []capacityKey{{instanceType, zone, market}, {instanceType, zone, ""}, {instanceType, "", market}, {instanceType, "", ""}} {
		n, limited := r.capacity[key]
		if !limited {
			continue
		}
		running := 0
		for _, i := range r.instances.all() {
			if i.instanceType == instanceType && !i.ended() && (key.zone == "" || i.zone.name == zone) && (key.market == "" || i.market == market) {
				running++
			}
		}
		return running < n
	}
	return true
}

// checkZone gives the error with which EC2 refuses a type in a zone that does
// not offer it.
func (r *region) checkZone(t *typeEntry, zone string) error {
	zones := t.offeredIn(r.name)
	if slices.Contains(zones, zone) {
		return nil
	}
	return fail("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). Please retry your request by not specifying an Availability Zone or choosing %s.",
		t.info.InstanceType, zone, strings.Join(zones, ", "))
}

// checkCapacity gives the error with which EC2 refuses a launch for want of
// capacity. For on-demand it names the zones that have some (the texts as node
// groups report them: containers-roadmap#2204).
func (r *region) checkCapacity(t *typeEntry, zone, market string) error {
	name := string(t.info.InstanceType)
	zones := t.offeredIn(r.name)
	if r.hasCapacity(name, zone, market) {
		return nil
	}
	e := &wire.Error{Code: "InsufficientInstanceCapacity", Status: http.StatusInternalServerError, Message: "There is no Spot capacity available that matches your request."}
	if market == Spot {
		return e
	}
	e.Message = fmt.Sprintf("We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity.", name, zone)
	var others []string
	for _, z := range zones {
		if z != zone && r.hasCapacity(name, z, market) {
			others = append(others, z)
		}
	}
	if len(others) > 0 {
		e.Message += fmt.Sprintf(" You can currently get %s capacity by not specifying an Availability Zone in your request or choosing %s.", name, strings.Join(others, ", "))
	}
	return e
}

// quotaCode is the vCPU quota that a type counts against (EC2 User Guide, "On-
// Demand Instance quotas" and "Spot Instance quotas").
func quotaCode(family, market string) string {
	spot := market == Spot
	switch {
	case strings.HasPrefix(family, "p5") && spot, strings.HasPrefix(family, "p6") && spot:
		return "L-C4BD4855"
	case strings.HasPrefix(family, "p") && spot:
		return "L-7212CCBC"
	case strings.HasPrefix(family, "p"):
		return "L-417A185B"
	case (strings.HasPrefix(family, "g") || strings.HasPrefix(family, "vt")) && spot:
		return "L-3819A6DF"
	case strings.HasPrefix(family, "g"), strings.HasPrefix(family, "vt"):
		return "L-DB2E81BA"
	case spot:
		return "L-34B43A08"
	}
	return "L-1216C47A"
}

// checkQuota refuses an instance that would take more vCPUs than the quota.
func (s *Service) checkQuota(r *region, t *typeEntry, market string) error {
	code := quotaCode(t.family, market)
	limit := r.quota(code)
	used := *t.info.VCpuInfo.DefaultVCpus
	for _, i := range r.instances.all() {
		other := s.types[i.instanceType]
		if !i.ended() && quotaCode(other.family, i.market) == code {
			used += *other.info.VCpuInfo.DefaultVCpus
		}
	}
	if float64(used) <= limit {
		return nil
	}
	if market == Spot {
		return fail("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
	}
	return fail("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of %d allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", int(limit))
}
