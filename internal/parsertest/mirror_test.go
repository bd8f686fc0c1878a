package parsertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Where backends read a user: whatever the request holds, and queries alone.
var (
	inBodies  = []string{JSON, Form, Merged}
	inQueries = []string{Query, Merged}
)

// A mirror is an upstream that answers with what it was sent, and with what the
// parsers of every backend read of it.
type mirror struct {
	*httptest.Server
	backends []*Backend
}

// mirrored is a mirror's answer.
type mirrored struct {
	Target  string
	Header  http.Header
	Body    []byte
	Answers []Answer
	Fault   string // of a backend that should have answered
}

func newMirror(t testing.TB, backends []*Backend) *mirror {
	t.Helper()
	m := &mirror{backends: backends}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	seen := mirrored{Target: r.RequestURI, Header: r.Header, Body: body}
	seen.Answers, err = AskAll(m.backends, &Request{Method: r.Method, Target: r.RequestURI, Header: r.Header, Body: body})
	if err != nil {
		seen.Fault = err.Error()
	}
	w.Header().Set("X-Mirror", "true")
	_ = json.NewEncoder(w).Encode(&seen)
}

// A said is a gateway's answer to a request.
type said struct {
	status int
	reason string
	user   string    // that it verified
	seen   *mirrored // nil where it forwarded nothing
}

func (s *said) String() string {
	if s.seen == nil {
		return fmt.Sprintf("%d %s", s.status, s.reason)
	}
	if s.user != "" {
		return fmt.Sprintf("%d verified %s", s.status, s.user)
	}
	return fmt.Sprintf("%d %s, forwarded", s.status, s.reason)
}

// gatewayClients speak HTTP/1.1 and HTTP/2 to a gateway.
var gatewayClients = func() (clients [3]http.RoundTripper) {
	clients[1] = &http.Transport{DisableCompression: true}
	clients[0] = clients[1]
	cleartext := new(http.Protocols)
	cleartext.SetUnencryptedHTTP2(true)
	clients[2] = &http.Transport{DisableCompression: true, Protocols: cleartext}
	return clients
}()

// sendTo sends a request to a gateway in front of a mirror.
func sendTo(address string, r *Request) (*said, error) {
	request, err := r.To(address)
	if err != nil {
		return nil, err
	}
	response, err := gatewayClients[r.Version].RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	s := &said{status: response.StatusCode}
	if response.Header.Get("X-Mirror") == "" {
		var p struct{ Reason string }
		_ = json.Unmarshal(text, &p)
		s.reason = p.Reason
		return s, nil
	}
	s.seen = new(mirrored)
	if err := json.Unmarshal(text, s.seen); err != nil {
		return nil, fmt.Errorf("%w in %.500q", err, text)
	}
	s.reason = s.seen.Header.Get("X-Identity-Reason")
	s.user, err = url.PathUnescape(s.seen.Header.Get("X-Verified-User"))
	return s, err
}

// sameID reports whether what a parser read is a conversation's id to a backend
// that compares without letter case, or casts to a number.
func sameID(read, id string) bool {
	text := strings.TrimSpace(read[1:])
	if strings.EqualFold(text, id) || read[0] == 'x' && strings.Contains(strings.ToLower(text), strings.ToLower(id)) {
		return true
	}
	if !numeral.MatchString(text) || !numeral.MatchString(id) {
		return false
	}
	a, _ := new(big.Rat).SetString(text)
	b, _ := new(big.Rat).SetString(id)
	return a != nil && b != nil && a.Cmp(b) == 0
}

// conversationID returns the id in what a parser read, in an array, too.
func conversationID(read string) string {
	if i := strings.LastIndex(read, " s"); read[0] == 'x' && i >= 0 {
		return read[i+2:]
	}
	return read[1:]
}

// numeral is a conversation that backends may cast to a number.
var numeral = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`)

// A finding is what a parser read and the gateway did not vouch for.
type finding struct{ parser, read string }

// read returns the names that parsers read at a path in some places, and what.
func (m *mirrored) read(places []string, path []string) (found []finding) {
	for _, answer := range m.Answers {
		for parser, reading := range answer {
			if slices.Contains(places, reading.Place) {
				for _, value := range reading.Under(path...) {
					found = append(found, finding{parser, value})
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.parser+a.read, b.parser+b.read) })
	return slices.Compact(found)
}

// unvouched is what parsers read as a user at some paths, and the gateway did not verify.
func (s *said) unvouched(places []string, paths ...[]string) (found []finding) {
	for _, path := range paths {
		for _, f := range s.seen.read(places, path) {
			if s.user == "" || f.read != "s"+s.user && f.read != "i"+s.user {
				found = append(found, f)
			}
		}
	}
	return found
}

// asSent reports whether a body arrived byte for byte.
func (m *mirrored) asSent(r *Request) bool { return bytes.Equal(m.Body, r.Body) }
