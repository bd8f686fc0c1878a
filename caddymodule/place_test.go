package caddymodule

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// headSize is what Caddy lets a client send as a request's header.
const headSize = 16 << 10

func cookieHeader(unit string) *http.Request {
	return &http.Request{Header: http.Header{"Cookie": {strings.Repeat(unit, headSize/len(unit))}}}
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
	cookie := newCookiePlace(verifier.Place{Field: verifier.UserID, Name: "user_id"})
	header := headerPlace{verifier.Place{Field: verifier.UserID}, foldHeader("X-User-Id")}
	same := strings.Split(strings.Repeat("a,", headSize/2), ",")
	lines := http.Header{"X-User-Id": same, "x_user.id": same}
	for i := range headSize / 8 {
		lines[fmt.Sprintf("X-User-%d", i)] = []string{""}
	}
	check := func(name string, read func(to *verifier.Reading)) {
		t.Helper()
		var to verifier.Reading
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read(&to)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 2*headSize && !raceEnabled {
			t.Errorf("%s: %d bytes are allocated", name, got)
		}
		if to.Memory() > 0 {
			t.Errorf("%s: %d bytes are kept", name, to.Memory())
		}
	}
	for _, unit := range worstCookies {
		for _, r := range []*http.Request{cookieHeader(unit), {Header: http.Header{"Cookie": strings.Split(strings.Repeat(unit+"\n", headSize/len(unit)), "\n")}}} {
			check(fmt.Sprintf("cookies %q", unit), func(to *verifier.Reading) { cookie.read(r, to) })
		}
	}
	check("headers", func(to *verifier.Reading) { header.read(&http.Request{Header: lines}, to) })
}

// BenchmarkWorstCookies reports what the worst cookies cost, as a multiple of
// ordinary ones of that size. They take turns, and the quickest run of each counts.
func BenchmarkWorstCookies(b *testing.B) {
	place := newCookiePlace(verifier.Place{Field: verifier.UserID, Name: "user_id"})
	took := func(r *http.Request) time.Duration {
		var to verifier.Reading
		began := time.Now()
		place.read(r, &to)
		return time.Since(began)
	}
	var most float64
	var which string
	ordinary := cookieHeader(ordinaryCookies)
	for _, unit := range worstCookies {
		r := cookieHeader(unit)
		plain, bad := took(ordinary), took(r)
		for range max(b.N, 50) {
			plain, bad = min(plain, took(ordinary)), min(bad, took(r))
		}
		if ratio := float64(bad) / float64(plain); ratio > most {
			most, which = ratio, fmt.Sprintf("%q: %v, ordinary %v", unit, bad, plain)
		}
	}
	b.ReportMetric(most, "times")
	b.ReportMetric(0, "ns/op")
	b.Log(which)
}
