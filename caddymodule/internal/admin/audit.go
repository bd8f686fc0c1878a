package admin

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/unknownid"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// audit logs a call that changes something or shows a secret, also where it was refused.
func (c *call) audit(log *zap.Logger, err error) {
	if c.action == "" {
		return
	}
	outcome := "done"
	var fields []zap.Field
	if refusal, ok := errors.AsType[caddy.APIError](err); ok {
		switch {
		case refusal.HTTPStatus < http.StatusInternalServerError:
			outcome, c.changes = "refused", nil
		case len(c.changes) > 0:
			fields = append(fields, zap.Bool("may_have_been_made", true))
			fallthrough
		default:
			outcome = "failed"
		}
		fields = append(fields, zap.Int("status", refusal.HTTPStatus))
		if refusal.HTTPStatus != http.StatusBadRequest { // its text may quote what was sent
			fields = append(fields, zap.String("error", cmp.Or(refusal.Message, refusal.Err.Error())))
		}
	}
	switch {
	case len(c.changes) == 1:
		fields = append(fields, zap.Inline(c.changes[0]))
	case len(c.changes) > 1:
		fields = append(fields, zap.Objects("changes", c.changes))
	case c.id != "" && widgets.ValidID(c.id):
		fields = append(fields, zap.String("widget", unknownid.Text(c.id)))
	}
	from := c.r.RemoteAddr
	if strings.Trim(from, "@") == "" {
		from = "unix socket"
	}
	log.Info(c.action+" "+outcome, slices.Concat(
		[]zap.Field{zap.String("action", c.action), zap.String("outcome", outcome), zap.String("from", from)}, fields, c.notes)...)
}

// change is what happened to a widget. Either record may be nil.
type change struct{ old, now *widgets.Record }

// MarshalLogObject implements [zapcore.ObjectMarshaler]. It tells secrets by their versions.
func (c change) MarshalLogObject(e zapcore.ObjectEncoder) error {
	old, now := cmp.Or(c.old, new(widgets.Record)), cmp.Or(c.now, new(widgets.Record))
	e.AddString("widget", cmp.Or(old.ID, now.ID))
	at := time.Now()
	var retired, inGrace []string
	for i := range now.Secrets {
		switch s := &now.Secrets[i]; {
		case !s.Live(at):
		case !s.Until.IsZero():
			inGrace = append(inGrace, s.Version+" until "+s.Until.Format(time.RFC3339))
		case !has(old, s.Version):
			e.AddString("new", s.Version)
		}
	}
	for i := range old.Secrets {
		if s := &old.Secrets[i]; s.Live(at) && !has(now, s.Version) {
			retired = append(retired, s.Version)
		}
	}
	for name, versions := range map[string][]string{"retired": retired, "in_grace": inGrace} {
		if versions != nil {
			zap.Strings(name, versions).AddTo(e)
		}
	}
	if c.now != nil {
		if c.old == nil || now.Mode != old.Mode {
			e.AddString("mode", now.Mode)
		}
		if c.old == nil || now.Dialect != old.Dialect {
			e.AddString("dialect", now.Dialect)
		}
	}
	return nil
}

// has reports whether the record has a secret of that version.
func has(r *widgets.Record, version string) bool {
	return slices.ContainsFunc(r.Secrets, func(s widgets.Sealed) bool { return s.Version == version })
}
