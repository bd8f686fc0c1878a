// Package hop knows what may not cross a gateway, and how names in HTTP are spelled that
// several programs read: headers, of which CGI-like backends merge spellings, and cookies.
package hop

import (
	"net/http"
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
	var kept []string
	n := 0
	for _, line := range lines {
		for option := range strings.SplitSeq(line, ",") {
			option = strings.Trim(option, " \t")
			if n++; !removed(option) {
				kept = append(kept, option)
			}
		}
	}
	switch len(kept) {
	case n:
	case 0:
		delete(header, "Connection")
	default:
		header["Connection"] = []string{strings.Join(kept, ", ")}
	}
}

// IsTunnel reports whether the request is a CONNECT (RFC 9110 section 9.3.6), other than an
// extended one (RFC 8441, RFC 9220) that opens a WebSocket. Caddy forwards the stream of
// any other CONNECT as raw bytes on a keep-alive connection, and the upstream would parse
// them as its next request, which no gateway has checked. The method is compared
// case-insensitively because some servers do.
func IsTunnel(r *http.Request) bool {
	if !strings.EqualFold(r.Method, http.MethodConnect) {
		return false
	}
	protocol := r.Proto // HTTP/3
	if r.ProtoMajor == 2 {
		protocol = r.Header.Get(":protocol")
	}
	return r.Method != http.MethodConnect || r.ProtoMajor < 2 || protocol != "websocket"
}
