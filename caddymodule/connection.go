package caddymodule

import (
	"net/http"
	"slices"
	"strings"
)

// keptFromConnection are headers that a client's Connection field must not
// remove on the way to the upstream either: the body was read as they say.
var keptFromConnection = [...]string{"content-type", "content-encoding"}

// stripConnection takes from the fields that are for one hop alone what a
// client could do with them to the next. A proxy drops the headers that
// Connection names (RFC 9110 section 7.6.1), ours too. And it passes on an
// Upgrade (section 7.8): to a backend that takes "h2c" the client could then
// speak past this gateway, so WebSocket is the only upgrade there is.
func (h *Handler) stripConnection(r *http.Request) {
	upgrade := r.Header["Upgrade"]
	tunnels := len(upgrade) > 0 && (len(upgrade) > 1 || !strings.EqualFold(strings.Trim(upgrade[0], " \t"), "websocket"))
	if tunnels {
		delete(r.Header, "Upgrade")
		delete(r.Header, "Http2-Settings")
	}
	lines := r.Header["Connection"]
	if len(lines) == 0 {
		return
	}
	removed := func(option string) bool {
		return h.ours(option) || tunnels && strings.EqualFold(option, "upgrade") ||
			slices.ContainsFunc(keptFromConnection[:], func(kept string) bool { return strings.EqualFold(option, kept) })
	}
	if !slices.ContainsFunc(lines, func(line string) bool { return hasOption(line, removed) }) {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if line = withoutOptions(line, removed); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(r.Header, "Connection")
		return
	}
	r.Header["Connection"] = kept
}

func hasOption(line string, wanted func(option string) bool) bool {
	for option := range strings.SplitSeq(line, ",") {
		if wanted(strings.Trim(option, " \t")) {
			return true
		}
	}
	return false
}

// withoutOptions returns a Connection field's line without some of its options.
func withoutOptions(line string, removed func(option string) bool) string {
	var kept []string
	for option := range strings.SplitSeq(line, ",") {
		if option = strings.Trim(option, " \t"); !removed(option) {
			kept = append(kept, option)
		}
	}
	return strings.Join(kept, ", ")
}
