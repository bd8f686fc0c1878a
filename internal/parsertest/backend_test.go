package parsertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"
)

// A Request is sent to a backend.
type Request struct {
	Method string
	Target string // as in the request line
	Header http.Header
	Body   []byte

	Chunked bool // without a Content-Length
	Version int  // of HTTP; 0 means 1
}

// To returns the request as a client sends it to an address.
func (r *Request) To(address string) (*http.Request, error) {
	var body io.Reader
	switch {
	case len(r.Body) == 0:
	case r.Chunked:
		body = io.MultiReader(bytes.NewReader(r.Body)) // hides the length
	default:
		body = bytes.NewReader(r.Body)
	}
	request, err := http.NewRequest(r.Method, "http://"+address, body)
	if err != nil {
		return nil, err
	}
	path, query, force := strings.Cut(r.Target, "?")
	request.URL = &url.URL{Scheme: "http", Host: address, Opaque: path, RawQuery: query, ForceQuery: force}
	request.Header = r.Header
	return request, nil
}

// A Backend is a running program that reports what its parsers read.
type Backend struct {
	Name    string
	address string
	ascii   bool // whether its server accepts only ASCII in a request line
}

var transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}

// Ask sends a request to a backend. The answer of a server that refuses it is empty.
func (b *Backend) Ask(r *Request) (Answer, error) {
	target := r.Target
	if b.ascii {
		target = escape(target)
	}
	sent := &Request{Method: r.Method, Target: target, Header: r.Header.Clone(), Body: r.Body}
	sent.Header.Del("Expect") // the body is there
	var response *http.Response
	for range 2 { // an idle connection may have been closed
		request, err := sent.To(b.address)
		if err != nil {
			return nil, err
		}
		if response, err = transport.RoundTrip(request); err == nil {
			break
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			return nil, fmt.Errorf("%s: %w", b.Name, err)
		}
	}
	if response == nil {
		return nil, nil // Puma hangs up on some request lines
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name, err)
	}
	switch {
	case response.StatusCode >= 500:
		return nil, fmt.Errorf("%s answers %d: %.1000s", b.Name, response.StatusCode, text)
	case response.StatusCode != http.StatusOK:
		return nil, nil
	}
	var answer Answer
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w in %.1000q", b.Name, err, text)
	}
	return answer, nil
}

// AskAll asks several backends concurrently.
func AskAll(backends []*Backend, r *Request) ([]Answer, error) {
	answers, faults := make([]Answer, len(backends)), make([]error, len(backends))
	var asked sync.WaitGroup
	for i, b := range backends {
		asked.Go(func() { answers[i], faults[i] = b.Ask(r) })
	}
	asked.Wait()
	return answers, errors.Join(faults...)
}

// escape percent-encodes bytes beyond ASCII, which PHP reads in the same way.
func escape(target string) string {
	var b strings.Builder
	for i := range len(target) {
		if c := target[i]; c < utf8.RuneSelf {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
