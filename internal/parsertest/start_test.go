package parsertest

import (
	"bufio"
	"embed"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

//go:embed backends
var programs embed.FS

// Start runs the parsers that come with five languages until the test ends. They
// report names that contain the first name of a path.
func Start(t testing.TB, paths [][]string) []*Backend {
	t.Helper()
	s := newStarter(t, paths)
	backends := []*Backend{s.goBackend(), s.php("php", "1")}
	backends = append(backends, s.run(1, "python3", "backend.py")...)
	backends = append(backends, s.run(1, "node", "backend.js")...)
	return append(backends, s.run(1, "ruby", "backend.rb")...)
}

// StartAll runs servers and frameworks as well. "make fuzz" installs what they need;
// Node's packages are in the folder FUZZ_CACHE/node_modules.
func StartAll(t testing.TB, paths [][]string) []*Backend {
	t.Helper()
	s := newStarter(t, paths)
	cache := os.Getenv("FUZZ_CACHE")
	if cache == "" {
		t.Fatal(`FUZZ_CACHE is not set: run "make fuzz"`)
	}
	s.environment = append(s.environment, "NODE_PATH="+filepath.Join(cache, "node_modules"))
	backends := []*Backend{s.goBackend(), s.php("php", "1"), s.php("php raw", "0")}
	backends = append(backends, s.run(1, "/usr/bin/python3", "backend.py", "all")...)
	backends = append(backends, s.run(1, "node", "backend.js", "all")...)
	backends = append(backends, s.run(2, "ruby", "backend.rb", "all")...)
	return append(backends, s.run(2, "java", "-cp", classPath(t), "Backend.java")...)
}

// classPath has the jars that Debian's packages install.
func classPath(t testing.TB) string {
	t.Helper()
	var jars []string
	for _, name := range []string{
		"tomcat10-embed-core", "gson", "jackson-core", "jackson-databind", "jackson-annotations", "commons-fileupload", "commons-io", "commons-logging",
		"jetty9-util", "servlet-api", "spring3-core", "spring3-beans", "spring3-context", "spring3-web",
	} {
		jar := "/usr/share/java/" + name + ".jar"
		if _, err := os.Stat(jar); err != nil {
			t.Fatalf("the differential run needs Java's libraries: %v", err)
		}
		jars = append(jars, jar)
	}
	return strings.Join(jars, ":")
}

type starter struct {
	t           testing.TB
	folder      string
	paths       [][]string
	environment []string
}

func newStarter(t testing.TB, paths [][]string) *starter {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, programs); err != nil {
		t.Fatal(err)
	}
	watched, err := json.Marshal(paths)
	if err != nil {
		t.Fatal(err)
	}
	return &starter{t, filepath.Join(folder, "backends"), paths, append(os.Environ(), "WATCHED="+string(watched))}
}

func (s *starter) goBackend() *Backend {
	server := httptest.NewServer(goParsers(s.paths))
	s.t.Cleanup(server.Close)
	return &Backend{Name: "go", address: strings.TrimPrefix(server.URL, "http://")}
}

// start starts a program that runs until the test ends, and returns the output of
// the pipe.
func (s *starter) start(cmd *exec.Cmd, pipe func() (io.ReadCloser, error)) *bufio.Reader {
	s.t.Helper()
	cmd.Dir, cmd.Env = s.folder, s.environment
	end := ownGroup(cmd)
	output, err := pipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatalf("the differential tests need %s: %v", cmd.Path, err)
	}
	s.t.Cleanup(func() {
		end()
		_ = cmd.Wait()
	})
	return bufio.NewReader(output)
}

// run starts a program that prints the names and ports of its servers.
func (s *starter) run(servers int, name string, arguments ...string) (backends []*Backend) {
	s.t.Helper()
	cmd := exec.Command(name, arguments...)
	cmd.Stderr = os.Stderr
	lines := bufio.NewScanner(s.start(cmd, cmd.StdoutPipe))
	for len(backends) < servers && lines.Scan() {
		name, port, _ := strings.Cut(lines.Text(), " ")
		backends = append(backends, &Backend{Name: name, address: "127.0.0.1:" + port})
	}
	if len(backends) < servers {
		s.t.Fatalf("%s %v did not start", name, arguments)
	}
	return backends
}

// php starts PHP's built-in server, which logs its port.
func (s *starter) php(name, readsBodies string) *Backend {
	s.t.Helper()
	s.environment = append(s.environment, "PHP_CLI_SERVER_WORKERS=2")
	cmd := exec.Command("php", "-n", "-d", "max_input_vars=100000", "-d", "request_order=GP", "-d", "display_errors=0", "-d", "log_errors=0",
		"-d", "enable_post_data_reading="+readsBodies, "-S", "127.0.0.1:0", "backend.php")
	started := regexp.MustCompile(`\(http://(127\.0\.0\.1:\d+)\) started`)
	for lines := s.start(cmd, cmd.StderrPipe); ; {
		line, err := lines.ReadString('\n')
		if m := started.FindStringSubmatch(line); m != nil {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return &Backend{Name: name, address: m[1], ascii: true}
		}
		if err != nil {
			s.t.Fatalf("PHP's server did not start: %v", err)
		}
	}
}
