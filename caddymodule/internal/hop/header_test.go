package hop

import (
	"go/build"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestHeader(t *testing.T) {
	h := NewHeader("X-Claim.User")
	for _, name := range []string{"X-Claim-User", "x_claim_user", "X.Claim.User", "X-CLAIM_USER", "X~Claim-User"} {
		header := http.Header{name: {"a"}, "Other": {"b"}}
		if value, there, more := h.Find(header, nil); value != "a" || !there || more {
			t.Errorf("%s: %q %t %t", name, value, there, more)
		}
		if got, want := h.Respelled(header), !strings.EqualFold(name, "x-claim-user"); got != want {
			t.Errorf("%s: respelled: %t", name, got)
		}
		if h.Cut(header); len(header) != 1 {
			t.Errorf("%s: %v is left", name, header)
		}
	}
	for _, header := range []http.Header{{"X-Claim-User": {"a", "b"}}, {"X-Claim-User": {"a"}, "x_claim_user": {"a"}}, {"X-Claim-User": {"", "a"}}} {
		if _, there, more := h.Find(header, nil); !there || !more {
			t.Errorf("%v: %t %t", header, there, more)
		}
	}
	for _, name := range []string{"X-Claim-Users", "XX-Claim-User", "X-Claim", "", "X-ClaimUser"} {
		if _, there, _ := h.Find(http.Header{name: {"a"}}, nil); there {
			t.Errorf("%q passes", name)
		}
	}
	if !Header("x-verified-").Begins("X_Verified.User") || Header("x-verified-").Begins("X-Verified") {
		t.Error("a prefix")
	}
}

func TestStripConnection(t *testing.T) {
	keeps := func(name string) bool { return strings.EqualFold(name, "x-ours") }
	for _, test := range []struct{ before, after http.Header }{
		{http.Header{"A": {"b"}}, http.Header{"A": {"b"}}},
		{http.Header{"Connection": {"keep-alive, X-Theirs"}}, http.Header{"Connection": {"keep-alive, X-Theirs"}}},
		{http.Header{"Connection": {"keep-alive,x-ours ,X-Theirs"}}, http.Header{"Connection": {"keep-alive, X-Theirs"}}},
		{http.Header{"Connection": {"X-Ours", "close"}}, http.Header{"Connection": {"close"}}},
		{http.Header{"Connection": {"X-Ours"}}, http.Header{}},
		{
			http.Header{"Connection": {"Upgrade, X-Ours"}, "Upgrade": {"WebSocket"}},
			http.Header{"Connection": {"Upgrade"}, "Upgrade": {"WebSocket"}},
		},
		{http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"AA"}}, http.Header{"Connection": {"HTTP2-Settings"}}},
		{http.Header{"Connection": {"upgrade"}, "Upgrade": {"websocket", "h2c"}}, http.Header{}},
	} {
		got := test.before.Clone()
		StripConnection(got, keeps)
		if len(got) != len(test.after) {
			t.Errorf("%v: %v", test.before, got)
		}
		for name, values := range test.after {
			if !slices.Equal(got[name], values) {
				t.Errorf("%v: %v", test.before, got)
			}
		}
	}
}

func TestIsTunnel(t *testing.T) {
	for _, test := range []struct {
		method, proto, protocol string
		major                   int
		want                    bool
	}{
		{"GET", "HTTP/1.1", "", 1, false},
		{"CONNECT", "HTTP/1.1", "", 1, true},
		{"connect", "HTTP/1.1", "", 1, true},
		{"CONNECT", "HTTP/1.1", "websocket", 1, true},
		{"CONNECT", "HTTP/2.0", "", 2, true},
		{"CONNECT", "HTTP/2.0", "websocket", 2, false},
		{"Connect", "HTTP/2.0", "websocket", 2, true},
		{"CONNECT", "HTTP/2.0", "connect-udp", 2, true},
		{"CONNECT", "HTTP/3.0", "", 3, true},
		{"CONNECT", "websocket", "", 3, false},
	} {
		r := &http.Request{Method: test.method, Proto: test.proto, ProtoMajor: test.major, Header: http.Header{}}
		if test.protocol != "" {
			r.Header[":protocol"] = []string{test.protocol}
		}
		if got := IsTunnel(r); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}

// TestImports: the room knows HTTP, and neither Caddy nor what a claim is.
func TestImports(t *testing.T) {
	room, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range room.Imports {
		if strings.Contains(path, ".") {
			t.Errorf("it imports %s", path)
		}
	}
}
