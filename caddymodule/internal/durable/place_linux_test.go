package durable

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

func TestPlaces(t *testing.T) {
	if err := Replaceable("/proc"); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("what is mounted: %v", err)
	}
	folder := t.TempDir()
	if err := errors.Join(Replaceable(folder), Replaceable(filepath.Join(folder, "none"))); err != nil {
		t.Error(err)
	}
	if !Kernel("/proc") || Kernel(folder) {
		t.Errorf("/proc %t, a folder %t", Kernel("/proc"), Kernel(folder))
	}
}
