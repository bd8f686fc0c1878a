package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRenameOverOpen: a file is replaced although others read it, of whom each soon ends.
func TestRenameOverOpen(t *testing.T) {
	folder := t.TempDir()
	path, fresh := filepath.Join(folder, "file"), filepath.Join(folder, "fresh")
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o600), os.WriteFile(fresh, []byte("new"), 0o600)); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { _ = reader.Close() })
	if err := Rename(fresh, path); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); string(text) != "new" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
