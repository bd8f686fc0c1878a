package widgets

import (
	"os"
	"runtime"
)

// SyncFolder makes what was created, renamed or removed in a folder durable.
func SyncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be opened there, and NTFS keeps a journal of names
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
