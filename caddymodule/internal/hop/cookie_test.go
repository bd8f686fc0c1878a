package hop

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// headSize is what Caddy lets a client send as a request's header.
const headSize = 16 << 10

func cookieHeader(unit string) http.Header {
	return http.Header{"Cookie": {strings.Repeat(unit, headSize/len(unit))}}
}

func TestFindCookie(t *testing.T) {
	one := func(value string) Found { return Found{Value: value} }
	for fields, want := range map[string]Found{
		"": {}, "v2=a; vv=b; a=v": {}, "v=": {}, "v": {}, `v=""`: {}, "a=v=b": {},
		"v=a": one("a"), "a=b; v=a; c=d": one("a"), "v=a; v=a": one("a"), `v=a; v="a"; v=%61`: one("a"), "v=; v=a": one("a"), "v=a; v=": one("a"),
		"v=a\nv=a": one("a"), "v=%22a%22": one(`"a"`), "v=a%20b": one("a b"), "v=a+b": one("a+b"), "v=a=b": one("a=b"), `v="a b, c"`: one("a b, c"),
		"v=a; v=b": {Value: "a", Duplicate: true}, "v=a\nv=b": {Value: "a", Duplicate: true}, "v=a; v=A": {Value: "a", Duplicate: true},
		"V=a": {Variant: true}, "v[]=a": {Variant: true}, "%76=a": {Variant: true}, "u=x, v=a": {Variant: true}, "u=x v=a": {Variant: true}, "v=a b": {Variant: true},
		`v="x v=a"`: {Variant: true}, "v = a": {Variant: true},
		"v=a; V=a": {Value: "a", Variant: true}, "V=a; v=a": {Value: "a", Variant: true}, "V=a; v[]=a": {Variant: true, Duplicate: true},
		`v="a`: {Broken: true}, `v=a"`: {Broken: true}, `v="`: {Broken: true}, `v="a"b"`: {Broken: true}, `v="\141"`: {Broken: true}, `v="a"b`: {Broken: true}, "v=%zz": {Broken: true},
		`v=a; v="b`: {Value: "a", Broken: true}, `v="a; b"`: {Broken: true},
	} {
		cookie := NewCookie("v")
		header := http.Header{"Cookie": strings.Split(fields, "\n")}
		if got := cookie.Find(header); got != want {
			t.Errorf("%q: %+v, want %+v", fields, got, want)
		}
		cookie.Cut(header)
		if got := cookie.Find(header); got != (Found{}) {
			t.Errorf("%q: %v is left", fields, header)
		}
	}
}

const ordinaryCookies = "session_token=0123456789abcdef0123456789abcdef; _ga=GA1.2.1234567890.1234567890; "

// worstCookies are those that cost most to read, in many ways.
var worstCookies = []string{
	";", "a;", "a=", "=", "u;", "+;", ".;", "[;", "%75;", "%2e;", "é;", "\u00a0;", "\xa0", "a=b; ", "a=b ", "a=b c ", " ", "x,", "= ", "a,=,",
	"user_ie;", "USER_IE=1;", "user.ie=1;", "user.x[;", "user_ie, ", "user_ie,= ", "a=%75 ", "a= user.ie=", "user_id=1; ", "user_id ; ", "a= user_id=",
}

// TestWorstHeadAllocatesLittle: what is read of a header takes no memory beyond
// that of the header, however it is filled.
func TestWorstHeadAllocatesLittle(t *testing.T) {
	cookie, name := NewCookie("user_id"), NewHeader("X-User-Id")
	same := strings.Split(strings.Repeat("a,", headSize/2), ",")
	lines := http.Header{"X-User-Id": same, "x_user.id": same}
	for i := range headSize / 8 {
		lines[fmt.Sprintf("X-User-%d", i)] = []string{""}
	}
	check := func(name string, find func()) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		find()
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 2*headSize {
			t.Errorf("%s: %d bytes are allocated", name, got)
		}
	}
	for _, unit := range worstCookies {
		for _, header := range []http.Header{cookieHeader(unit), {"Cookie": strings.Split(strings.Repeat(unit+"\n", headSize/len(unit)), "\n")}} {
			check(fmt.Sprintf("cookies %q", unit), func() { cookie.Find(header) })
		}
	}
	check("headers", func() { name.Find(lines, nil) })
}

// BenchmarkWorstCookies reports what the worst cookies cost, as a multiple of
// ordinary ones of that size. They take turns, and the quickest run of each counts.
func BenchmarkWorstCookies(b *testing.B) {
	cookie := NewCookie("user_id")
	took := func(header http.Header) time.Duration {
		began := time.Now()
		cookie.Find(header)
		return time.Since(began)
	}
	var most float64
	var which string
	ordinary := cookieHeader(ordinaryCookies)
	for _, unit := range worstCookies {
		header := cookieHeader(unit)
		plain, bad := took(ordinary), took(header)
		for range max(b.N, 50) {
			plain, bad = min(plain, took(ordinary)), min(bad, took(header))
		}
		if ratio := float64(bad) / float64(plain); ratio > most {
			most, which = ratio, fmt.Sprintf("%q: %v, ordinary %v", unit, bad, plain)
		}
	}
	b.ReportMetric(most, "times")
	b.ReportMetric(0, "ns/op")
	b.Log(which)
}
