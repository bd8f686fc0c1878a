package period

import (
	"testing"
	"time"
)

func TestText(t *testing.T) {
	for _, want := range []string{"0s", "1ms", "10s", "1.5s", "1m", "10m", "1m30s", "1h", "25h", "100h", "1h10m", "10h0m1s", "-1h", "-20m"} {
		d, err := time.ParseDuration(want)
		if got := Text(d); err != nil || got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
