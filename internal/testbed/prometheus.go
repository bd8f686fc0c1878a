package testbed

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Prometheus runs a Prometheus until the test ends, and returns its URL.
func Prometheus(t testing.TB, config string) (url string) {
	t.Helper()
	folder, address := t.TempDir(), address(FreePort(t))
	file := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, log := exec.Command("prometheus", "--config.file", file, "--storage.tsdb.path", filepath.Join(folder, "data"), "--web.listen-address", address), new(Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test asks Prometheus: run `make deps`, or install Debian's package prometheus (%v)", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url = "http://" + address
	Succeeds(t, "Prometheus is ready", func() error {
		response, err := http.Get(url + "/-/ready")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s\n%s", response.Status, log.String())
		}
		return nil
	})
	return url
}
