package claimform_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
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
	parse(body []byte, boundary string) (readings, error)
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

func (p *process) parse(body []byte, boundary string) (readings, error) {
	kind := "form"
	if boundary != "" {
		kind = "multipart"
	}
	request, err := json.Marshal(map[string]any{"kind": kind, "boundary": boundary, "body": body})
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(request, '\n')); err != nil {
		return nil, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	return decodeReadings(line)
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

func (p *phpServer) parse(body []byte, boundary string) (readings, error) {
	if boundary != "" {
		return p.post("/", `multipart/form-data; boundary="`+boundary+`"`, body)
	}
	all, err := p.post("/", "application/x-www-form-urlencoded", body)
	if err != nil {
		return nil, err
	}
	more, err := p.post("/?parse_str", "text/plain", body)
	maps.Copy(all, more)
	return all, err
}

func (p *phpServer) post(path, contentType string, body []byte) (readings, error) {
	response, err := http.Post(p.address+path, contentType, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return decodeReadings(answer)
}

func decodeReadings(answer []byte) (readings, error) {
	var decoded map[string][][2]*[]byte
	if err := json.Unmarshal(answer, &decoded); err != nil {
		return nil, fmt.Errorf("%w in %s", err, answer)
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
	return all, nil
}

// goParsers are those of net/url, which returns what it could read beside an
// error, and mime/multipart.
type goParsers struct{}

func (goParsers) parse(body []byte, boundary string) (readings, error) {
	if boundary == "" {
		values, _ := url.ParseQuery(string(body))
		fields := []field{}
		for name, list := range values {
			for _, value := range list {
				fields = append(fields, field{name, &value})
			}
		}
		return readings{"go url": fields}, nil
	}
	if fields, ok := goMultipart(body, boundary); ok {
		return readings{"go multipart": fields}, nil
	}
	return nil, nil
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

// parseAll has every parser read every body, all parsers at the same time.
func parseAll(t *testing.T, bodies []multipartBody) (all []readings) {
	t.Helper()
	parsers := []parser{
		goParsers{},
		startProcess(t, "python3", "parsers.py"),
		startProcess(t, "node", "parsers.js"),
		startProcess(t, "ruby", "parsers.rb"),
		startPHP(t),
	}
	read := make([][]readings, len(parsers))
	var group sync.WaitGroup
	for i, p := range parsers {
		read[i] = make([]readings, len(bodies))
		group.Go(func() {
			for k, c := range bodies {
				var err error
				if read[i][k], err = p.parse(c.body, c.boundary); err != nil {
					t.Errorf("%q: %v", c.body, err)
					return
				}
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for k := range bodies {
		one := readings{}
		for i := range parsers {
			maps.Copy(one, read[i][k])
		}
		all = append(all, one)
	}
	return all
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
// how often it read the same value. Where some may be lost, a parser may have
// given up.
func compare(t *testing.T, body []byte, hits []claimform.Hit, lost bool, all readings, agreed map[string]int) {
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
			case len(own) == 1 && !own[0].Variant && own[0].Err == nil:
				if (len(own[0].Value) == 0 || lost) && len(values) == 0 {
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
	case err != nil || slices.ContainsFunc(hits, func(hit claimform.Hit) bool { return hit.Err != nil }):
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
	names := compile(watched...)
	var count tally
	var bodies []multipartBody
	var found [][]claimform.Hit
	for _, body := range formBodies() {
		var strict, hits claimform.Hits
		errStrict := claimform.URLEncoded(body, names, true, &strict)
		count.add(strict.List, errStrict)
		err := claimform.URLEncoded(body, names, false, &hits)
		if err != nil {
			if errStrict == nil {
				t.Errorf("%q: refused only when not strict: %v", body, err)
			}
			continue
		}
		if errStrict == nil && !reflect.DeepEqual(strict.List, hits.List) {
			t.Errorf("%q: %v when strict, else %v", body, strict.List, hits.List)
		}
		bodies, found = append(bodies, multipartBody{body: body}), append(found, hits.List)
	}
	agreed := make(map[string]int)
	for i, all := range parseAll(t, bodies) {
		compare(t, bodies[i].body, found[i], false, all, agreed)
	}
	count.check(t)
	checkAgreed(t, agreed, "go url", "python parse_qs", "python parse_qs bytes", "node URLSearchParams",
		"node URLSearchParams of decoded text", "node querystring", "node formData", "ruby decode_www_form",
		"ruby CGI.parse", "php parse_str", "php $_POST")
}

// TestDifferentialNested: wherever PHP puts a nested field, it is found.
func TestDifferentialNested(t *testing.T) {
	php := startPHP(t)
	names := nested("user/id")
	pieces := []string{"user", "user", "user", "id", "id", "[", "]", "[", "]", "[]", "[0]", "[id]", "[id]", "[id]", ".", "0", " ", "_", "!", "'", "\x00", "x"}
	random := rand.New(rand.NewPCG(7, 8))
	found := 0
	for range 3000 {
		var name strings.Builder
		for range 2 + random.IntN(5) {
			name.WriteString(pieces[random.IntN(len(pieces))])
		}
		body := []byte(url.QueryEscape(name.String()) + "=1")
		var hits claimform.Hits
		if err := claimform.URLEncoded(body, names, false, &hits); err != nil {
			t.Fatal(err)
		}
		all, err := php.post("/?nested", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all["php nested"] {
			if f.name == "/user/id" || strings.HasPrefix(f.name, "/user/id/") {
				found++
				if len(hits.List) != 1 || !hits.List[0].Variant {
					t.Errorf("PHP reads %s in %q, where %v was found", f.name, name.String(), hits.List)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("PHP read it only %d times", found)
	}
}

func TestDifferentialMultipart(t *testing.T) {
	names := compile(watched...)
	var count tally
	var bodies []multipartBody
	var found [][]claimform.Hit
	var odd []bool // by body, a header does not read in one way
	for _, c := range multipartBodies() {
		var hits claimform.Hits
		isOdd := false
		m := claimform.NewMultipart(c.boundary, names, func(header []byte) (string, bool) {
			isOdd = true
			return nameStands(header)
		}, math.MaxInt64, &hits)
		m.Write(c.body)
		err := m.Close()
		count.add(hits.List, err)
		if err == nil {
			bodies, found, odd = append(bodies, c), append(found, hits.List), append(odd, isOdd)
		}
	}
	agreed := make(map[string]int)
	for i, all := range parseAll(t, bodies) {
		compare(t, bodies[i].body, found[i], odd[i], all, agreed)
	}
	count.check(t)
	checkAgreed(t, agreed, "go multipart", "python email", "python email HTTP", "node formData", "ruby CGI", "php $_POST")
}
