package redisstore

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain makes the test binary a gateway in a process of its own, too, when it
// is started as such.
func TestMain(m *testing.M) {
	if url := os.Getenv("REDISSTORE_GATEWAY"); url != "" {
		if err := lookupForever(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	// The tests wait for leases to end, and hardly compute.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
