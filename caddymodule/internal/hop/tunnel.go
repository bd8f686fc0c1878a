package hop

import (
	"net/http"
	"strings"
)

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
