// Package period writes durations as people do in configurations.
package period

import (
	"strings"
	"time"
)

// Text returns a duration without units that are zero: 25h rather than 25h0m0s.
func Text(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
