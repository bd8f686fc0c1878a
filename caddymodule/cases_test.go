package caddymodule

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// caseFile is a file of testdata/cases: requests as clients send them, and what
// must become of each. Its keys are explained in testdata/cases/README.md.
type caseFile struct {
	Secrets map[string]string
	Configs map[string]*caseConfig
	Cases   []*requestCase
}

type caseConfig struct {
	Global, Site, Upstream string
	Files                  map[string]string
}

type requestCase struct {
	ID, What, Config string
	Steps            []*caseStep
	LoadError        []string `json:"load_error"`
}

type caseStep struct {
	Request caseRequest
	Expect  expectation
}

type caseRequest struct {
	Method, Path, Version string
	Headers               [][2]string
	Chunked               bool
	Body                  *string
	BodyBase64            *string   `json:"body_base64"`
	BodyParts             bodyParts `json:"body_parts"`
}

// bodyParts are pieces of a body, each repeated as often as it says (0 is once).
type bodyParts []struct {
	Text, Base64 string
	Times        int
}

func (b bodyParts) bytes() []byte {
	body := []byte{}
	for _, part := range b {
		body = append(body, bytes.Repeat(append([]byte(part.Text), decode64(part.Base64)...), max(part.Times, 1))...)
	}
	return body
}

// expectation is what to compare; a nil pointer compares nothing.
type expectation struct {
	Any          []*expectation
	Status       int
	Forwarded    *bool
	Outcome      *string
	Reason       *string
	User, Widget json.RawMessage
	Body         string
	BodyIsNot    string          `json:"body_is_not"`
	BodyJSON     json.RawMessage `json:"body_json"`
	BodyParts    bodyParts       `json:"body_parts"`
	Path         *string
	Headers      map[string]*string
	Absent       []string
	CGI          map[string]string
	CGILength    bool            `json:"cgi_length"`
	AnswerJSON   json.RawMessage `json:"answer_json"`
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	for _, name := range files {
		if filepath.Base(name) == "explain.json" {
			continue // of the command, whose tests run it
		}
		text := read(t, name)
		var file caseFile
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for key, value := range file.Secrets {
			t.Setenv(key, value)
		}
		shared := make(map[string]*gateway)
		for _, c := range file.Cases {
			t.Run(filepath.Base(name)+"/"+c.ID, func(t *testing.T) {
				config := file.Configs[c.Config]
				if config == nil {
					t.Fatalf("no config %s", c.Config)
				}
				if c.LoadError != nil {
					checkLoadError(t, config, c.LoadError)
					return
				}
				// A step alone may share its gateway, if that is the one that runs.
				g := shared[c.Config]
				if g == nil || len(c.Steps) > 1 {
					clear(shared)
					g = runCaseConfig(t, config)
				}
				if len(c.Steps) == 1 {
					shared[c.Config] = g
				}
				for i, step := range c.Steps {
					answer := g.sendCase(t, &step.Request)
					if faults := step.Expect.check(&step.Request, answer); len(faults) > 0 {
						t.Errorf("%s: step %d of %s: %s", c.What, i+1, c.ID, strings.Join(faults, "; "))
					}
				}
			})
		}
	}
}

func (c *caseConfig) text(dir, address, upstream string) string {
	replace := strings.NewReplacer("$UPSTREAM", upstream, "$DIR", dir)
	return fmt.Sprintf("{%s\n%s\n}\nhttp://%s {\n%s\n}\n", globals, replace.Replace(c.Global), address, replace.Replace(c.Site))
}

func checkLoadError(t *testing.T, c *caseConfig, words []string) {
	t.Helper()
	err := validate(c.text(t.TempDir(), "127.0.0.1:1", "127.0.0.1:1"))
	if err == nil {
		t.Fatal("it loads")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in %v", word, err)
		}
	}
}

func runCaseConfig(t *testing.T, c *caseConfig) *gateway {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv("TEST_FOLDER"), "case-*") // outlives the test, as the gateway may
	must(t, err)
	for name, text := range c.Files {
		file := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		must(t, os.WriteFile(file, []byte(text), 0o600))
	}
	g := &gateway{url: fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), upstream: new(upstream)}
	backend := fmt.Sprintf("127.0.0.1:%d", freePort(t)) // which is down
	if c.Upstream != "down" {
		listener, err := net.Listen("tcp", backend) // it outlives the test, too
		must(t, err)
		go serveCase(g.upstream, listener, c.Upstream)
	}
	options := ""
	if !strings.Contains(c.Global, "chat_identity") {
		options = "chat_identity {\nwidgets file " + dir + "/widgets.jsonl\nledger bolt " + dir + "/ledger.db\n}\n"
	}
	copied := *c
	copied.Global = options + c.Global
	text := copied.text(dir, g.host(), backend)
	config, err := adapt(text)
	if err == nil {
		err = activate(config) // the next configuration replaces it
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return g
}

// serveCase serves as the upstream that a configuration asks for: one that answers
// with a status, or a FastCGI responder, which keeps the parameters as well.
func serveCase(u *upstream, listener net.Listener, kind string) {
	if kind == "fastcgi" {
		_ = fcgi.Serve(listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cgi := fcgi.ProcessEnv(r)
			r.RequestURI = r.URL.RequestURI()
			cgi["QUERY_STRING"], cgi["REQUEST_URI"], cgi["CONTENT_LENGTH"] = r.URL.RawQuery, r.RequestURI, strconv.FormatInt(r.ContentLength, 10)
			for name := range r.Header {
				cgi["HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = r.Header.Get(name)
			}
			u.receive(r, cgi)
		}))
		return
	}
	if text, ok := strings.CutPrefix(kind, "status "); ok {
		status, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		u.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	_ = http.Serve(listener, u)
}

// bytes returns the request's body, nil for none.
func (r *caseRequest) bytes() []byte {
	switch {
	case r.Body != nil:
		return []byte(*r.Body)
	case r.BodyBase64 != nil:
		return decode64(*r.BodyBase64)
	case r.BodyParts != nil:
		return r.BodyParts.bytes()
	}
	return nil
}

func decode64(text string) []byte {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return decoded
}

// sendCase writes the request byte for byte.
func (g *gateway) sendCase(t *testing.T, r *caseRequest) *answered {
	t.Helper()
	g.upstream.take()
	var headers []string
	for _, h := range r.Headers {
		headers = append(headers, h[0]+": "+h[1])
	}
	body := r.bytes()
	text := string(body)
	switch {
	case r.Chunked:
		headers, text = append(headers, "Transfer-Encoding: chunked"), chunks(text)
	case body != nil:
		headers = append(headers, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	text = g.wire(r.Method, r.Path, text, headers...)
	if r.Version != "" {
		text = strings.Replace(text, "HTTP/1.1", r.Version, 1)
	}
	c := g.dial(t)
	defer c.Close()
	go func() { _, _ = io.WriteString(c, text) }() // the answer may come before all is sent
	response, err := http.ReadResponse(c.in, &http.Request{Method: r.Method})
	must(t, err)
	answer, err := io.ReadAll(response.Body)
	must(t, err)
	return &answered{response, string(answer), g.upstream.take()}
}

// check returns the differences from what is expected.
func (e *expectation) check(r *caseRequest, a *answered) (faults []string) {
	wrong := func(key string, got, want any) {
		faults = append(faults, fmt.Sprintf("%s is %.300q, want %.300q", key, fmt.Sprint(got), fmt.Sprint(want)))
	}
	for i, one := range e.Any {
		alternative := one.check(r, a)
		if len(alternative) == 0 {
			break
		}
		if i+1 == len(e.Any) {
			faults = append(faults, alternative...)
		}
	}
	if e.Status != 0 && a.StatusCode != e.Status {
		wrong("status", fmt.Sprint(a.StatusCode, " ", a.body), e.Status)
	}
	if e.Forwarded != nil && *e.Forwarded != (a.seen != nil) {
		wrong("forwarded", a.seen != nil, *e.Forwarded)
	}
	arrived := a.seen
	if arrived == nil {
		var document problem
		_ = json.Unmarshal([]byte(a.body), &document)
		if e.Reason != nil && string(document.Reason) != *e.Reason {
			wrong("reason", document.Reason, *e.Reason)
		}
		arrived = new(seen)
		if e.Outcome != nil || e.Body != "" || e.BodyJSON != nil || e.BodyParts != nil || e.Path != nil || e.CGI != nil {
			wrong("answer", fmt.Sprint(a.StatusCode, " ", a.body), "a request at the upstream")
			return faults
		}
	}
	header := func(key, name string, want *string) {
		values := arrived.Header.Values(name)
		switch {
		case want == nil && len(values) > 0:
			wrong(key, values, "none")
		case want != nil && (len(values) != 1 || values[0] != *want):
			wrong(key, values, *want)
		}
	}
	if e.Outcome != nil {
		header("outcome", "X-Identity-Outcome", e.Outcome)
	}
	if e.Reason != nil && a.seen != nil {
		header("reason", "X-Identity-Reason", e.Reason)
	}
	for key, want := range map[string]json.RawMessage{"User": e.User, "Widget": e.Widget} {
		if want != nil {
			var value *string
			_ = json.Unmarshal(want, &value)
			header(strings.ToLower(key), "X-Verified-"+key, value)
		}
	}
	for name, want := range e.Headers {
		header(name, name, want)
	}
	sent := string(r.bytes())
	if e.Body == "as_sent" && arrived.Body != sent {
		wrong("body", arrived.Body, sent)
	}
	if e.BodyIsNot == "as_sent" && arrived.Body == sent {
		wrong("body", "as sent", "changed")
	}
	sameJSON := func(key string, got string, want json.RawMessage) {
		var a, b any
		if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal(want, &b) != nil || !reflect.DeepEqual(a, b) {
			wrong(key, got, string(want))
		}
	}
	if e.BodyJSON != nil {
		sameJSON("body", arrived.Body, e.BodyJSON)
	}
	if e.BodyParts != nil {
		if want := string(e.BodyParts.bytes()); arrived.Body != want {
			wrong("body", arrived.Body, want)
		}
	}
	if e.Path != nil && arrived.URI != *e.Path {
		wrong("path", arrived.URI, *e.Path)
	}
	everything := arrived.URI + fmt.Sprint(arrived.Header) + arrived.Body
	for _, text := range e.Absent {
		if strings.Contains(everything, text) {
			wrong("request", everything, "no "+text)
		}
	}
	for name, want := range e.CGI {
		if arrived.CGI[name] != want {
			wrong(name, arrived.CGI[name], want)
		}
	}
	if e.CGILength && arrived.CGI["CONTENT_LENGTH"] != strconv.Itoa(len(arrived.Body)) {
		wrong("CONTENT_LENGTH", arrived.CGI["CONTENT_LENGTH"], len(arrived.Body))
	}
	if e.AnswerJSON != nil {
		sameJSON("answer", a.body, e.AnswerJSON)
	}
	return faults
}
