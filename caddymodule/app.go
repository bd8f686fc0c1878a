package caddymodule

import (
	"fmt"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App holds the chat widgets that all `chat_identity` handlers of a configuration share.
//
// Each widget has its own secret, with which a customer's server signs user ids. A handler finds the widget that a
// request names here. Handlers with a `secret` of their own need no app.
type App struct {
	// Widgets that are declared in the configuration.
	InlineWidgets []InlineWidget `json:"inline_widgets,omitempty"`

	widgets map[string]*widget
	log     *zap.Logger

	mu     sync.Mutex
	owners map[string]*widget // widgets that handlers brought along, by id
}

// InlineWidget is a chat widget that is declared in the configuration itself.
type InlineWidget struct {
	// The id that requests name it by: 1 to 128 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. The id
	// `default` is reserved.
	ID string `json:"id"`

	// The secrets, current first; the rest still verify, for a rotation without a gap. Each at least 16 bytes.
	// A value that is one `{env.NAME}` or `{file.PATH}` placeholder is looked up when the configuration is loaded;
	// any other value is the secret itself, and visible to whoever can read the configuration.
	Secrets []string `json:"secrets"`

	// `off`, `optional` or `required`. It wins over the handler's mode where it is stricter, or where the handler's is
	// not written. Default: the handler's.
	Mode Mode `json:"mode,omitempty"`

	// The widget's dialect: `bookbag`, `nextcap`, `inviaro`, `replybubble` or `snapengage`. Default: the handler's.
	Dialect string `json:"dialect,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision resolves the widgets' secrets.
func (a *App) Provision(ctx caddy.Context) error {
	a.log = ctx.Logger()
	a.widgets = make(map[string]*widget, len(a.InlineWidgets))
	a.owners = make(map[string]*widget)
	for i := range a.InlineWidgets {
		inline := &a.InlineWidgets[i]
		if inline.ID == defaultWidget {
			return fmt.Errorf("widget id '%s' is reserved for handlers' own secrets: choose another", inline.ID)
		}
		if a.widgets[inline.ID] != nil {
			return fmt.Errorf("widget %s is declared twice: a rotation lists both secrets in one declaration, current first", inline.ID)
		}
		w, literals, err := newWidget(inline.ID, inline.Secrets, inline.Mode, inline.Dialect)
		if err != nil {
			return err
		}
		if literals {
			warnLiteral(a.log, inline.ID)
		}
		// Caddy's request trace prints exported fields.
		inline.Secrets = nil
		a.widgets[inline.ID] = w
	}
	return nil
}

func warnLiteral(log *zap.Logger, id string) {
	log.Warn("a secret is written into the configuration, where Caddy's admin API and autosave.json show it: "+
		"write {env.NAME} or {file.PATH} instead", zap.String("widget", id))
}

// Start implements [caddy.App].
func (*App) Start() error { return nil }

// Stop implements [caddy.App].
func (*App) Stop() error { return nil }

func (a *App) lookup(id []byte) (*widget, error) { return a.widgets[string(id)], nil }

func (a *App) speaks(dialect string) bool {
	for _, w := range a.widgets {
		if w.dialect == dialect {
			return true
		}
	}
	return false
}

// own registers a handler's own widget. The pair of widget and user is who
// someone is, so one id must not stand for two secrets; only the unnamed
// widgets of two sites may differ. It returns the widget as it was declared, if
// it was, since its mode and dialect hold everywhere.
func (a *App) own(w *widget) (*widget, error) {
	if w.id == defaultWidget {
		return w, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range []*widget{a.widgets[w.id], a.owners[w.id]} {
		if other != nil && other.digest != w.digest {
			return nil, fmt.Errorf("widget %s has other secrets elsewhere in this configuration: "+
				"give one of the two another id, or declare it once in the global chat_identity block", w.id)
		}
	}
	a.owners[w.id] = w
	if declared := a.widgets[w.id]; declared != nil {
		return declared, nil
	}
	return w, nil
}

// Interface guards
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
	_ widgetSource      = (*App)(nil)
)
