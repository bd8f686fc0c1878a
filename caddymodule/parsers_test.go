package caddymodule

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// A question is what backends' parsers are asked: which user id they read in a
// body or a query that reached them.
type question struct {
	Kind  string     `json:"kind"` // "query", "form", "multipart" or "" for any other body
	Type  string     `json:"type"` // its Content-Type
	Body  []byte     `json:"body"`
	Paths [][]string `json:"paths"` // where a JSON backend looks for the user id
	Names []string   `json:"names"` // under which names one that reads forms does
}

// readings are the user ids that each parser reads: none is an empty
// list, nil is a parser that refused the whole.
type readings map[string][]string

// A backend asks all parsers of one language.
type backend interface {
	ask(q *question) (readings, error)
}

// interpreter answers JSON lines with JSON lines.
type interpreter struct {
	in  io.Writer
	out *bufio.Reader
}

// startInterpreter runs a script of testdata/parsers until the test ends.
func startInterpreter(t *testing.T, name, script string) *interpreter {
	t.Helper()
	cmd := exec.Command(name, filepath.Join("testdata", "parsers", script))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the differential test needs %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &interpreter{in, bufio.NewReader(out)}
}

func (p *interpreter) ask(q *question) (readings, error) {
	line, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	if line, err = p.out.ReadBytes('\n'); err != nil {
		return nil, err
	}
	return decodeAnswer(line)
}

func decodeAnswer(text []byte) (a readings, err error) {
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("%w in %q", err, text)
	}
	for _, values := range a {
		for i, value := range values {
			if text, ok := strings.CutPrefix(value, "s"); ok {
				decoded, err := base64.StdEncoding.DecodeString(text)
				if err != nil {
					return nil, err
				}
				values[i] = "s" + string(decoded)
			}
		}
	}
	return a, nil
}

// phpServer is PHP's built-in web server.
type phpServer struct{ url string }

func startPHP(t *testing.T) *phpServer {
	t.Helper()
	cmd := exec.Command("php", "-n", "-d", "max_input_vars=100000", "-d", "display_errors=0", "-d", "log_errors=0",
		"-S", "127.0.0.1:0", filepath.Join("testdata", "parsers", "parse.php"))
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the differential test needs php: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	started := regexp.MustCompile(`\((http://127\.0\.0\.1:\d+)\) started`)
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadString('\n')
		if m := started.FindStringSubmatch(line); m != nil {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return &phpServer{m[1]}
		}
		if err != nil {
			t.Fatalf("php's server did not start: %v", err)
		}
	}
}

func (p *phpServer) ask(q *question) (readings, error) {
	if q.Kind == "query" {
		// The built-in server, unlike others, takes no bytes beyond ASCII there;
		// PHP itself reads them as it reads their escapes.
		var query strings.Builder
		for _, c := range q.Body {
			if c < utf8.RuneSelf {
				query.WriteByte(c)
			} else {
				fmt.Fprintf(&query, "%%%02X", c)
			}
		}
		return p.request("GET", "query", "", query.String(), nil, q)
	}
	all, err := p.request("POST", "raw", "text/plain", "", q.Body, q)
	if err != nil || q.Type == "" {
		return all, err
	}
	posted, err := p.request("POST", "post", q.Type, "", q.Body, q)
	for name, values := range posted {
		all[name] = values
	}
	return all, err
}

func (p *phpServer) request(method, parse, contentType, query string, body []byte, q *question) (readings, error) {
	r, err := http.NewRequest(method, p.url+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.URL.RawQuery = query
	places, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if parse != "raw" {
		places, _ = json.Marshal(question{Kind: q.Kind, Paths: q.Paths, Names: q.Names})
	}
	r.Header.Set("X-Parse", parse)
	r.Header.Set("X-Places", base64.StdEncoding.EncodeToString(places))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return decodeAnswer(text)
}

// goBackend asks the standard library's parsers.
type goBackend struct{}

func (goBackend) ask(q *question) (readings, error) {
	if q.Kind == "query" {
		values, _ := url.ParseQuery(string(q.Body)) // what it could read, as Request.FormValue does
		return readings{"go url": namedValues(values, q.Names)}, nil
	}
	a := readings{"go json map": nil, "go json struct": nil, "go json decoder": nil}
	var document any
	decoder := json.NewDecoder(bytes.NewReader(q.Body))
	decoder.UseNumber()
	if decoder.Decode(&document) == nil {
		values := []string{}
		for _, path := range q.Paths {
			values = append(values, toldJSON(memberAt(document, path))...)
		}
		a["go json decoder"] = values // it does not look at what follows the first document
		if json.Valid(q.Body) {
			a["go json map"] = values
		}
	}
	values := []string{}
	for _, path := range q.Paths {
		into := reflect.New(structFor(path))
		if err := json.Unmarshal(q.Body, into.Interface()); err != nil {
			values = nil
			break
		}
		v := into.Elem()
		for range path {
			v = v.Field(0)
		}
		values = append(values, toldRaw(v.Bytes())...)
	}
	a["go json struct"] = values
	if q.Kind != "" {
		r := &http.Request{
			Method: "POST", URL: new(url.URL), Header: http.Header{"Content-Type": {q.Type}},
			Body: io.NopCloser(bytes.NewReader(q.Body)),
		}
		_ = r.ParseMultipartForm(1 << 20) // handlers that use FormValue never learn of an error
		values := namedValues(r.PostForm, q.Names)
		if r.MultipartForm != nil {
			for _, name := range q.Names {
				for range r.MultipartForm.File[name] {
					values = append(values, "xfile")
				}
			}
		}
		a["go "+q.Kind] = values
	}
	return a, nil
}

func namedValues(values url.Values, names []string) []string {
	told := []string{}
	for _, name := range names {
		for _, value := range values[name] {
			if value != "" {
				told = append(told, "s"+value)
			}
		}
	}
	return told
}

func memberAt(document any, path []string) any {
	for _, name := range path {
		object, _ := document.(map[string]any)
		document = object[name]
	}
	return document
}

func toldJSON(value any) []string {
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		if v == "" {
			return nil
		}
		return []string{"s" + v}
	case json.Number:
		return []string{"i" + v.String()}
	}
	return []string{fmt.Sprintf("x%v", value)}
}

func toldRaw(raw json.RawMessage) []string {
	if len(raw) == 0 {
		return nil
	}
	var value any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return []string{"x" + err.Error()}
	}
	return toldJSON(value)
}

// structFor returns the type that a backend would declare for a user id at
// path: encoding/json finds its fields whatever their letter case.
func structFor(path []string) reflect.Type {
	inner := reflect.TypeFor[json.RawMessage]()
	if len(path) > 1 {
		inner = structFor(path[1:])
	}
	return reflect.StructOf([]reflect.StructField{{
		Name: "Field", Type: inner, Tag: reflect.StructTag(fmt.Sprintf(`json:%q`, path[0])),
	}})
}

// startBackends starts a backend of each language, by name.
func startBackends(t *testing.T) map[string]backend {
	return map[string]backend{
		"go":     goBackend{},
		"python": startInterpreter(t, "python3", "parse.py"),
		"node":   startInterpreter(t, "node", "parse.js"),
		"ruby":   startInterpreter(t, "ruby", "parse.rb"),
		"php":    startPHP(t),
	}
}

// reads reports whether what a parser reads is the user id that was verified,
// or nothing.
func reads(values []string, user string) bool {
	for _, value := range values {
		if !utf8.ValidString(value) || user == "" || value != "s"+user && value != "i"+user {
			return false
		}
	}
	return true
}
