package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/command"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func init() {
	command.OpenStore = openStore
}

// openStore returns the admin API on the store of a configuration that runs in another
// process, if at all. Of that configuration it provisions the app alone: nothing listens,
// and no ledger is opened. Warnings and the audit log go to standard error, because the
// log that the configuration names belongs to the gateway.
func openStore(config []byte) (http.Handler, error) {
	var parsed struct {
		Apps caddy.ModuleMap `json:"apps"`
	}
	if err := json.Unmarshal(config, &parsed); err != nil {
		return nil, err
	}
	var sites any
	if text := parsed.Apps["http"]; text != nil {
		if err := json.Unmarshal(text, &sites); err != nil {
			return nil, err
		}
	}
	handlers, app := handlersIn(sites), parsed.Apps["chat_identity"]
	if app == nil && handlers == nil {
		return nil, errors.New("it has no chat_identity: add the directive to a site, or the global option")
	}
	if app == nil {
		app = json.RawMessage("{}")
	}
	audit := []string{string(adminAPI{}.CaddyModule().ID) + ".audit"}
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		AppsRaw: caddy.ModuleMap{"chat_identity": app},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
			caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "WARN"}, Exclude: audit},
			"audit":                 {Include: audit},
		}},
	})
	if err != nil {
		_, text, _ := strings.Cut(err.Error(), "provision chat_identity: ")
		return nil, errors.New(cmp.Or(text, err.Error()))
	}
	loaded, err := ctx.App("chat_identity")
	if err != nil {
		return nil, err
	}
	a := loaded.(*App)
	a.offline = true
	for _, h := range handlers {
		a.addOffline(h)
	}
	a.warnUnfound()
	api := admin.Handler(func() (*admin.Gateway, error) { return a.gateway(), nil },
		func() *zap.Logger { return ctx.Logger(adminAPI{}).Named("audit") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := api.ServeHTTP(w, r); err != nil { // as Caddy answers it
			refusal, _ := errors.AsType[caddy.APIError](err)
			refusal.Message = cmp.Or(refusal.Message, err.Error())
			w.WriteHeader(cmp.Or(refusal.HTTPStatus, http.StatusInternalServerError))
			_ = json.NewEncoder(w).Encode(refusal)
		}
	}), nil
}

// handlersIn returns the handlers of this module anywhere in a JSON value.
func handlersIn(value any) (found []*Handler) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			found = append(found, handlersIn(element)...)
		}
	case map[string]any:
		if v["handler"] == "chat_identity" {
			h := new(Handler)
			if text, err := json.Marshal(v); err == nil && json.Unmarshal(text, h) == nil {
				found = append(found, h)
			}
		}
		for _, member := range v {
			found = append(found, handlersIn(member)...)
		}
	}
	return found
}

// addOffline notes which widgets a handler that is not provisioned has or looks up.
func (a *App) addOffline(h *Handler) {
	h.Dialect = cmp.Or(h.Dialect, verifier.DefaultDialect)
	if h.checkWidget() != nil || h.Guard && h.Identify == "" {
		return
	}
	switch {
	case len(h.Secrets) > 0:
		id := cmp.Or(h.Widget, defaultWidget)
		if known := a.owners[id]; known != nil {
			known.addHandler(h.Mode, h.Dialect)
		} else {
			a.owners[id] = &handlerWidget{laxest: h.Mode, mode: h.Mode, dialect: h.Dialect}
		}
	case h.Widget != "" || h.widgetInClaim:
		a.useStore(h.Widget)
	}
}

// warnUnfound warns about a file that is not there: Caddy's data directory is the user's,
// and a relative path depends on the folder.
func (a *App) warnUnfound() {
	if _, err := os.Lstat(a.file); a.file == "" || err == nil {
		return
	}
	a.log.Warn("there is no file of widgets yet. If the gateway has one, it runs as another user or in another folder: run the command as it runs",
		zap.String("file", a.file))
}
