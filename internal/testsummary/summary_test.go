package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSummary runs go test on packages that fail in every way.
func TestSummary(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"noisy/a_test.go": `package noisy
import ("fmt"; "testing")
func TestGood(t *testing.T) { t.Log("of no interest") }
func TestBad(t *testing.T) {
	for range 5000 { fmt.Println("{\"level\":\"info\",\"msg\":\"a request\"}") }
	t.Run("sub", func(t *testing.T) { t.Error("the reason") })
}
func TestLong(t *testing.T) {
	for i := range 100 { t.Errorf("complaint %d", i) }
}`,
		"crash/a_test.go":  "package crash\nimport \"testing\"\nfunc TestCrash(t *testing.T) { panic(\"a crash\") }",
		"slow/a_test.go":   "package slow\nimport \"testing\"\nfunc TestSlow(t *testing.T) { select {} }",
		"exit/a_test.go":   "package exit\nimport (\"fmt\"; \"os\"; \"testing\")\nfunc TestMain(*testing.M) { fmt.Println(\"no server\"); os.Exit(1) }",
		"broken/a_test.go": "package broken\nvar x int = `text`",
		"good/a_test.go":   "package good\nimport \"testing\"\nfunc TestGood(*testing.T) {}",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	logs := t.TempDir()
	var progress strings.Builder
	s := &summary{progress: &progress, folder: logs}
	run := func(args ...string) {
		command := exec.Command("go", append([]string{"test", "-json", "-vet=off"}, args...)...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOFLAGS=")
		s.run(command)
	}
	if run("./good"); s.failures() != nil {
		t.Fatal(s.failures())
	}
	run("-timeout=5s", "./slow")
	run("./noisy", "./crash", "./exit", "./broken", "./good")
	lines := s.failures()
	report := strings.Join(lines, "\n")
	if len(lines) > 40 {
		t.Errorf("%d lines", len(lines))
	}
	for _, want := range []string{
		"--- FAIL: m/noisy TestBad/sub\n    a_test.go:6: the reason", "--- FAIL: m/noisy TestLong\n", "complaint 0", "complaint 99",
		"--- FAIL: m/crash TestCrash\npanic: a crash", "--- FAIL: m/slow TestSlow\npanic: test timed out after 5s",
		"--- FAIL: m/exit\nno server", "--- FAIL: m/broken [m/broken.test]", "cannot use `text`",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("without %q:\n%s", want, report)
		}
	}
	for _, unwanted := range []string{"a request", "of no interest", "TestGood", "m/good"} {
		if strings.Contains(report, unwanted) {
			t.Errorf("with %q:\n%s", unwanted, report)
		}
	}
	if text, err := os.ReadFile(filepath.Join(logs, "m_noisy.log")); err != nil || strings.Count(string(text), "a request") != 5000 {
		t.Errorf("the log is incomplete: %v", err)
	}
	if !strings.Contains(progress.String(), "ok   m/good ") {
		t.Error(progress.String())
	}
}

// TestNothingRan: a go test that cannot even begin is a failure that says why.
func TestNothingRan(t *testing.T) {
	s := &summary{progress: io.Discard, folder: t.TempDir()}
	s.run(exec.Command("go", "test", "-json", "./no-such-folder"))
	if report := strings.Join(s.failures(), "\n"); !strings.Contains(report, "./no-such-folder") {
		t.Error(report)
	}
}
