package filestore

import (
	"path/filepath"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func() widgets.Store {
		path := filepath.Join(t.TempDir(), "folder", "widgets.jsonl")
		return func() widgets.Store { return Open(Options{Path: path}) }
	})
}
