package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// failingStore has one widget. It fails before a change, or after it, or when a loss is
// accepted.
type failingStore struct {
	widgets.Store
	stored                *widgets.Record
	before, after, accept error
}

func (s *failingStore) Update(_ context.Context, ids []string, do func(string, *widgets.Record) (*widgets.Record, error)) error {
	if s.before != nil {
		return s.before
	}
	for _, id := range ids {
		old := s.stored
		if id != old.ID {
			old = nil
		}
		if _, err := do(id, old); err != nil {
			return err
		}
	}
	return s.after
}

func (s *failingStore) AcceptLoss(context.Context) (bool, error) { return false, s.accept }

// TestAuditFailed: where the store failed, the audit log has the versions of a change that may
// have been made all the same, and no others.
func TestAuditFailed(t *testing.T) {
	sealed := widgets.Sealed{Version: "v1", KeyID: "00112233aabbccdd", Box: []byte(strings.Repeat("s", 60))}
	stored := &widgets.Record{ID: "shop", Created: time.Now(), Rotated: time.Now(), Secrets: []widgets.Sealed{sealed}}
	key, err := widgets.ParseEncryptionKey(widgets.NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	ring := widgets.NewRing(key)
	unsure := fmt.Errorf("%w: it is unknown whether all, some or nothing was changed", widgets.ErrUnavailable)
	other := *stored
	other.ID = "other"
	text, err := json.Marshal([]*widgets.Record{&other})
	if err != nil {
		t.Fatal(err)
	}
	imported := string(text)
	for _, c := range []struct {
		call, body            string
		before, after, accept error
		want                  string // what the one line has
	}{
		{"DELETE widgets/shop", "", nil, unsure, nil, "failed true shop [v1]"},
		{"POST widgets/shop/rotate", "", nil, unsure, nil, "failed true shop random [v1]"},
		{"POST import?missing_keys=true", imported, nil, unsure, nil, "failed true other v1"},
		{"POST import?missing_keys=true", imported, nil, nil, widgets.ErrUnwritable, "failed true other v1"},
		{"DELETE widgets/shop", "", nil, widgets.ErrUnwritable, nil, "failed shop"},
		{"POST import?missing_keys=true", imported, nil, widgets.ErrUnwritable, nil, "failed"},
		{"DELETE widgets/shop", "", unsure, nil, nil, "failed shop"},
		{"POST import?missing_keys=true", imported, unsure, nil, nil, "failed"},
		{"DELETE widgets/shop", "", nil, errors.New("unexpected"), nil, "failed true shop [v1]"},
	} {
		core, logs := observer.New(zap.InfoLevel)
		log := zap.New(core)
		g := &Gateway{
			Log: log, Store: &failingStore{nil, stored, c.before, c.after, c.accept}, EnsureRing: func() error { return nil },
			Ring: func() *widgets.Ring { return ring }, WhereKeyIs: func(string, string) string { return "" },
		}
		method, path, _ := strings.Cut(c.call, " ")
		r := httptest.NewRequest(method, adminapi.Path+path, strings.NewReader(c.body))
		_ = Handler(func() (*Gateway, error) { return g, nil }, func() *zap.Logger { return log }).ServeHTTP(httptest.NewRecorder(), r)
		var got []string
		for _, line := range logs.All() {
			fields := line.ContextMap()
			if new, is := fields["new"].(string); is && len(new) > 2 {
				fields["new"] = "random"
			}
			for _, name := range []string{"outcome", "may_have_been_made", "widget", "new", "retired"} {
				if value, is := fields[name]; is {
					got = append(got, fmt.Sprint(value))
				}
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s, not %s", c.call, text, c.want)
		}
	}
}
