package server

import (
	"encoding/json"
	"net/http"
	"sync"
)

// setCapacity makes EC2 run out of a type of instance, or have it again. In
// its JSON an empty zone or market stands for all, a negative count for as many
// as wanted.
func (c *Cloud) setCapacity(w http.ResponseWriter, r *http.Request) {
	in := struct {
		Region       string `json:"region"`
		InstanceType string `json:"instanceType"`
		Zone         string `json:"zone"`
		Market       string `json:"market"` // on-demand or spot
		Count        int    `json:"count"`
	}{Region: Region}
	if !readJSON(w, r, &in) {
		return
	}
	if in.InstanceType == "" {
		http.Error(w, "instanceType is missing", http.StatusBadRequest)
		return
	}
	c.services.ec2.SetCapacity(in.Region, in.InstanceType, in.Zone, in.Market, in.Count)
	w.WriteHeader(http.StatusNoContent)
}

// gpus are the broken GPUs of instances.
type gpus struct {
	mu     sync.Mutex
	broken map[string]int // by instance id; "" is every instance without an entry
}

// healthy is how many of an instance's GPUs work.
func (g *gpus) healthy(_, instanceID string, total int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, ok := g.broken[instanceID]
	if !ok {
		n = g.broken[""]
	}
	return max(0, total-n)
}

// breakGPUs sets how many GPUs of an instance, or of every one, are broken.
func (c *Cloud) breakGPUs(w http.ResponseWriter, r *http.Request) {
	var in struct {
		InstanceID string `json:"instanceId"`
		Broken     int    `json:"broken"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	c.gpus.mu.Lock()
	defer c.gpus.mu.Unlock()
	c.gpus.broken[in.InstanceID] = in.Broken
	w.WriteHeader(http.StatusNoContent)
}

// readJSON reads a request's body and answers what is wrong with it.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}
