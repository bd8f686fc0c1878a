package claimform_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// watched are the names that the differential tests and fuzzers look for.
var watched = []string{"user_id", "user_hash"}

// A field is what a parser read; its value is nil where that is no text: a
// file, an array or an object.
type field struct {
	name  string
	value *string
}

// readings are the fields that each parser read. A parser that refused the
// whole input is missing.
type readings map[string][]field

// A parser reads a form body, or a multipart body where there is a boundary.
type parser interface {
	parse(t *testing.T, body []byte, boundary string) readings
}

// A process is an interpreter that answers JSON lines with JSON lines.
type process struct {
	in  io.Writer
	out *bufio.Reader
}

// scriptPath reads the script, so that a cached test result does not outlive it.
func scriptPath(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("testdata", "parsers", name)
	if _, err := os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func startProcess(t *testing.T, interpreter, script string) *process {
	t.Helper()
	cmd := exec.Command(interpreter, scriptPath(t, script))
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
		t.Fatalf("the differential test needs %s: %v", interpreter, err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &process{in, bufio.NewReader(out)}
}

func (p *process) parse(t *testing.T, body []byte, boundary string) readings {
	t.Helper()
	kind := "form"
	if boundary != "" {
		kind = "multipart"
	}
	request, err := json.Marshal(map[string]any{"kind": kind, "boundary": boundary, "body": body})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(append(request, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("no answer for %q: %v", body, err)
	}
	return decodeReadings(t, line)
}

// phpServer is PHP's built-in web server: its form parsers read requests only.
type phpServer struct{ address string }

func startPHP(t *testing.T) *phpServer {
	t.Helper()
	cmd := exec.Command("php", "-n", "-d", "max_input_vars=100000", "-d", "display_errors=0", "-d", "log_errors=0",
		"-S", "127.0.0.1:0", scriptPath(t, "parsers.php"))
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the differential test needs php: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewReader(log)
	started := regexp.MustCompile(`\((http://127\.0\.0\.1:\d+)\) started`)
	for {
		line, err := lines.ReadString('\n')
		if m := started.FindStringSubmatch(line); m != nil {
			go io.Copy(io.Discard, lines)
			return &phpServer{m[1]}
		}
		if err != nil {
			t.Fatalf("php's server did not start: %v", err)
		}
	}
}

func (p *phpServer) parse(t *testing.T, body []byte, boundary string) readings {
	t.Helper()
	if boundary != "" {
		return p.post(t, "/", `multipart/form-data; boundary="`+boundary+`"`, body)
	}
	all := p.post(t, "/", "application/x-www-form-urlencoded", body)
	for name, fields := range p.post(t, "/?parse_str", "text/plain", body) {
		all[name] = fields
	}
	return all
}

func (p *phpServer) post(t *testing.T, path, contentType string, body []byte) readings {
	t.Helper()
	response, err := http.Post(p.address+path, contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return decodeReadings(t, answer)
}

func decodeReadings(t *testing.T, answer []byte) readings {
	t.Helper()
	var decoded map[string][][2]*[]byte
	if err := json.Unmarshal(answer, &decoded); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	all := readings{}
	for name, fields := range decoded {
		if fields == nil {
			continue
		}
		all[name] = []field{}
		for _, f := range fields {
			one := field{name: string(*f[0])}
			if f[1] != nil {
				value := string(*f[1])
				one.value = &value
			}
			all[name] = append(all[name], one)
		}
	}
	return all
}

// goParsers are those of net/url, which returns what it could read beside an
// error, and mime/multipart.
type goParsers struct{}

func (goParsers) parse(_ *testing.T, body []byte, boundary string) readings {
	if boundary == "" {
		values, _ := url.ParseQuery(string(body))
		fields := []field{}
		for name, list := range values {
			for _, value := range list {
				fields = append(fields, field{name, &value})
			}
		}
		return readings{"go url": fields}
	}
	if fields, ok := goMultipart(body, boundary); ok {
		return readings{"go multipart": fields}
	}
	return nil
}

// goMultipart returns the fields in order; ok is false if the body is refused.
func goMultipart(body []byte, boundary string) (fields []field, ok bool) {
	_, params, err := mime.ParseMediaType(`multipart/form-data; boundary="` + boundary + `"`)
	if err != nil {
		return nil, false
	}
	reader := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	fields = []field{}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			return fields, true
		}
		if err != nil {
			return nil, false
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, false
		}
		one := field{name: part.FormName()}
		if part.FileName() == "" {
			value := string(content)
			one.value = &value
		}
		fields = append(fields, one)
	}
}

func startParsers(t *testing.T) []parser {
	return []parser{
		goParsers{},
		startProcess(t, "python3", "parsers.py"),
		startProcess(t, "node", "parsers.js"),
		startProcess(t, "ruby", "parsers.rb"),
		startPHP(t),
	}
}

// under returns what a parser read under a name, be it as an array or object,
// which frameworks atop of it make of brackets.
func under(fields []field, name string) (values []field) {
	for _, f := range fields {
		key := strings.TrimLeft(strings.TrimSpace(f.name), "[]")
		if i := strings.IndexAny(key, "[]"); i >= 0 && key[:i] == name {
			values = append(values, field{name: f.name})
		} else if f.name == name {
			values = append(values, f)
		}
	}
	return values
}

// compare holds the parsers' readings against hits, and counts for each parser
// how often it read the same value.
func compare(t *testing.T, body []byte, hits []claimform.Hit, all readings, agreed map[string]int) {
	t.Helper()
	for i, name := range watched {
		var own []claimform.Hit
		for _, hit := range hits {
			if hit.Name == i {
				own = append(own, hit)
			}
		}
		for parser, fields := range all {
			values := under(fields, name)
			switch {
			case len(own) == 0:
				if len(values) > 0 {
					t.Errorf("%s reads %s in %q, where nothing was found", parser, describe(values), body)
				}
			case len(own) == 1 && !own[0].Variant:
				if len(own[0].Value) == 0 && len(values) == 0 {
					continue // no field and an empty one are the same
				}
				if len(values) != 1 || values[0].value == nil || *values[0].value != string(own[0].Value) {
					t.Errorf("%s reads %s in %q, where %q was found", parser, describe(values), body, own[0].Value)
					continue
				}
				agreed[parser]++
			}
		}
	}
}

func describe(fields []field) string {
	var b strings.Builder
	for _, f := range fields {
		if f.value == nil {
			fmt.Fprintf(&b, "[%q: no text]", f.name)
		} else {
			fmt.Fprintf(&b, "[%q: %q]", f.name, *f.value)
		}
	}
	return "[" + b.String() + "]"
}

// tally counts outcomes, so that a test in which everything is refused fails.
type tally struct{ refused, nothing, plain, other int }

func (c *tally) add(hits []claimform.Hit, err error) {
	switch {
	case err != nil:
		c.refused++
	case len(hits) == 0:
		c.nothing++
	case len(hits) == 1 && !hits[0].Variant:
		c.plain++
	default:
		c.other++
	}
}

func (c *tally) check(t *testing.T) {
	t.Helper()
	t.Logf("%+v", *c)
	if c.refused < 20 || c.nothing < 20 || c.plain < 20 || c.other < 20 {
		t.Errorf("too few cases of one kind: %+v", *c)
	}
}

// checkAgreed fails for a parser that has read next to nothing: it may have
// been asked in the wrong way.
func checkAgreed(t *testing.T, agreed map[string]int, parsers ...string) {
	t.Helper()
	t.Logf("%v", agreed)
	for _, p := range parsers {
		if agreed[p] < 20 {
			t.Errorf("%s read a field only %d times", p, agreed[p])
		}
	}
}

func TestDifferentialURLEncoded(t *testing.T) {
	parsers := startParsers(t)
	names := claimform.Compile(watched)
	var hits claimform.Hits
	var count tally
	agreed := make(map[string]int)
	for _, body := range formBodies() {
		errStrict := claimform.URLEncoded(body, names, true, &hits)
		count.add(hits.List, errStrict)
		strict := append([]claimform.Hit(nil), hits.List...)
		err := claimform.URLEncoded(body, names, false, &hits)
		if err != nil {
			if errStrict == nil {
				t.Errorf("%q: refused only when not strict: %v", body, err)
			}
			continue
		}
		if errStrict == nil && fmt.Sprint(strict) != fmt.Sprint(hits.List) {
			t.Errorf("%q: %v when strict, else %v", body, strict, hits.List)
		}
		for _, p := range parsers {
			compare(t, body, hits.List, p.parse(t, body, ""), agreed)
		}
	}
	count.check(t)
	checkAgreed(t, agreed, "go url", "python parse_qs", "python parse_qs bytes", "node URLSearchParams",
		"node URLSearchParams of decoded text", "node querystring", "node formData", "ruby decode_www_form",
		"ruby CGI.parse", "php parse_str", "php $_POST")
}

func TestDifferentialMultipart(t *testing.T) {
	parsers := startParsers(t)
	names := claimform.Compile(watched)
	var hits claimform.Hits
	var count tally
	agreed := make(map[string]int)
	for _, c := range multipartBodies() {
		err := claimform.Multipart(c.body, c.boundary, names, &hits)
		count.add(hits.List, err)
		if err != nil {
			continue
		}
		for _, p := range parsers {
			compare(t, c.body, hits.List, p.parse(t, c.body, c.boundary), agreed)
		}
	}
	count.check(t)
	checkAgreed(t, agreed, "go multipart", "python email", "python email HTTP", "node formData", "ruby CGI", "php $_POST")
}
