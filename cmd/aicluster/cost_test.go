package main

import "testing"

// TestTotalIsMoney guards JSON against 0.14500000000000002.
func TestTotalIsMoney(t *testing.T) {
	c := costs{controlPlane: controlPlanePrice, natGateways: natGatewayPrice}
	if got := c.Total(); got != 0.145 {
		t.Errorf("%v", got)
	}
}
