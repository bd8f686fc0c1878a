package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/command"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
)

func init() {
	command.OpenStore = openStore
}

// openStore returns the admin API on the store of a configuration that runs in another
// process, if at all. It provisions the app and this module's handlers alone: nothing
// listens, no ledger is opened, and what other modules need may be missing. Warnings and
// the audit log go to standard error, because the log that the configuration names belongs
// to the gateway.
func openStore(config []byte) (http.Handler, error) {
	var parsed struct{ Apps map[string]any }
	if err := json.Unmarshal(config, &parsed); err != nil {
		return nil, err
	}
	app := parsed.Apps["chat_identity"]
	handlers := offlineHandlers(parsed.Apps["http"])
	if app == nil && handlers == nil {
		return nil, errors.New("it has no chat_identity: add the directive to a site, or the global option")
	} else if app == nil {
		app = struct{}{}
	}
	text, err := json.Marshal(app)
	if err != nil {
		return nil, err
	}
	if err := becomeOwner(text); err != nil {
		return nil, err
	}
	audit := string(adminAPI{}.CaddyModule().ID) + ".audit"
	ctx, err := caddy.ProvisionContext(&caddy.Config{
		AppsRaw: caddy.ModuleMap{"chat_identity": text},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
			caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "WARN"}, Exclude: []string{audit, "http", "chat_identity.widgets"}},
			"audit":                 {Include: []string{audit}},
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
		// What is wrong with a handler is the gateway's affair.
		_, _ = ctx.LoadModuleByID("http.handlers.chat_identity", h)
	}
	if _, err := os.Lstat(a.file); a.file != "" && errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("there is no file of widgets yet. If the gateway has one, it runs as another user or in another folder: run the command as it runs",
			zap.String("file", a.file))
	}
	api := admin.Handler(func() (*admin.Gateway, error) { return a.gateway(), nil },
		func() *zap.Logger { return ctx.Logger(adminAPI{}).Named("audit") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := api.ServeHTTP(w, r); err != nil { // as Caddy answers it
			refusal, _ := errors.AsType[caddy.APIError](err)
			refusal.Message = cmp.Or(refusal.Message, err.Error())
			if fault, ok := errors.AsType[*durable.Fault](refusal.Err); ok && errors.Is(fault, fs.ErrPermission) {
				owner := durable.Owner(a.file)
				refusal.Message = fmt.Sprintf("%s: run the command as the gateway's user (%s owns %s): sudo -u %[2]s caddy chat-identity …", fault.What, owner, a.file)
			}
			w.WriteHeader(cmp.Or(refusal.HTTPStatus, http.StatusInternalServerError))
			_ = json.NewEncoder(w).Encode(refusal)
		}
	}), nil
}

// becomeOwner has a superuser's command go on as the owner of the file of widgets of an
// app's JSON. A Redis needs none.
func becomeOwner(app []byte) error {
	var kept struct{ Widgets struct{ Store, Path string } }
	if err := json.Unmarshal(app, &kept); err != nil || cmp.Or(kept.Widgets.Store, "file") != "file" {
		return nil // what is wrong with it is said when it is provisioned
	}
	path, err := resolvePath(kept.Widgets.Path, "widgets.jsonl")
	if err != nil {
		return err
	}
	return durable.BecomeOwner(path)
}

// offlineHandlers returns this module's handlers anywhere in a JSON value. In place of
// their secrets, which only the gateway needs to have, they get one that follows from the
// widget's id.
func offlineHandlers(value any) (found []json.RawMessage) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			found = append(found, offlineHandlers(element)...)
		}
	case map[string]any:
		for _, member := range v {
			found = append(found, offlineHandlers(member)...)
		}
		if v["handler"] != "chat_identity" {
			break
		}
		delete(v, "handler")
		if _, single := v["secrets"]; single {
			id, _ := v["widget"].(string)
			v["secrets"] = []string{"the place of a secret of " + id}
		}
		if text, err := json.Marshal(v); err == nil {
			found = append(found, text)
		}
	}
	return found
}
