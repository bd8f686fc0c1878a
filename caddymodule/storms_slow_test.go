//go:build slow

package caddymodule

import "testing"

// What make test tries a few times is tried here often enough, and by enough clients
// at once, to meet what is rare.

func TestSlowRotationsUnderLoad(t *testing.T)   { testRotationsUnderLoad(t, 200, 64) }
func TestSlowRotationsInGrace(t *testing.T)     { testRotationsInGrace(t, 200, 16) }
func TestSlowReloadsKeepTheStore(t *testing.T)  { testReloadsKeepTheStore(t, 100, 16) }
func TestSlowOneTime(t *testing.T)              { testOneTime(t, 200, 64) }
func TestSlowOneTimeSurvivesKills(t *testing.T) { testOneTimeSurvivesKills(t, 5) }
func TestSlowFleetOutages(t *testing.T)         { testOutages(t, outages) }
