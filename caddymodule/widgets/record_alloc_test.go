//go:build !race

package widgets

import "testing"

// TestCheckAllocates: every record that is read is checked, 200,000 of them in a census.
func TestCheckAllocates(t *testing.T) {
	record := newTestRecord(t, "shop", NewRing(testKey(t, 1)))
	if n := testing.AllocsPerRun(100, func() {
		if err := record.Check(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
