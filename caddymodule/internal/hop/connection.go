package hop

import (
	"net/http"
	"slices"
	"strings"
)

// StripConnection removes what a client could do to the next hop by hop-by-hop fields. A
// proxy drops the headers that Connection names (RFC 9110 section 7.6.1), even those that
// the gateway sets or has read the body by: keeps reports whether a header of that name
// must stay. And a proxy forwards an Upgrade (section 7.8), by which a client could talk
// past the gateway to a backend that accepts h2c: only WebSocket is let through.
func StripConnection(header http.Header, keeps func(name string) bool) {
	upgrade := header["Upgrade"]
	tunnels := len(upgrade) > 0 && (len(upgrade) > 1 || !strings.EqualFold(strings.Trim(upgrade[0], " \t"), "websocket"))
	if tunnels {
		delete(header, "Upgrade")
		delete(header, "Http2-Settings")
	}
	lines := header["Connection"]
	if len(lines) == 0 {
		return
	}
	removed := func(option string) bool {
		return keeps(option) || tunnels && strings.EqualFold(option, "upgrade")
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
		delete(header, "Connection")
		return
	}
	header["Connection"] = kept
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
