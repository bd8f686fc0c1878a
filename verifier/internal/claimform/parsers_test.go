package claimform_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
)

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
