package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/dashboard"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// maxAdminBody is the largest body of a call, in bytes.
const maxAdminBody = 64 << 10

// adminAPI is this module's part of Caddy's admin endpoint. It holds nothing:
// each call asks for the configuration that runs.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.chat_identity",
		New: func() caddy.Module { return adminAPI{} },
	}
}

// Provision implements [caddy.Provisioner]. The endpoint is there before any app
// is, and stays if one of them fails.
func (adminAPI) Provision(ctx caddy.Context) error { return registerMetrics(ctx) }

// Routes implements [caddy.AdminRouter].
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminapi.Path, Handler: caddy.AdminHandlerFunc(serveAdmin)}}
}

// adminCall is one call, of a widget where its path names one.
type adminCall struct {
	*App
	w  http.ResponseWriter
	r  *http.Request
	id string
}

// adminCalls are the calls by path and method; * is a widget's id.
var adminCalls = map[string]map[string]func(*adminCall) error{
	"widgets":             {"GET": (*adminCall).list, "POST": (*adminCall).create},
	"widgets/*":           {"GET": (*adminCall).show, "PATCH": (*adminCall).set, "DELETE": (*adminCall).delete},
	"widgets/*/rotate":    {"POST": (*adminCall).rotate},
	"widgets/*/reveal":    {"POST": (*adminCall).reveal},
	"widgets/*/readiness": {"GET": (*adminCall).readiness},
	"reseal":              {"POST": (*adminCall).reseal},
	"ledger/accept-loss":  {"POST": (*adminCall).acceptLoss},
	"export":              {"GET": (*adminCall).export},
	"import":              {"POST": (*adminCall).importRecords},
	"overview":            {"GET": (*adminCall).overview},
	"stats":               {"GET": (*adminCall).stats},
	"snippets":            {"GET": (*adminCall).snippets},
}

// crossOrigin refuses what another website has a browser send that would change
// something. Caddy's own check leaves that to the configured origins, of which
// an operator may allow more than the endpoint itself. What is no browser, such
// as the command, says nothing of origins and passes.
var crossOrigin = http.NewCrossOriginProtection()

func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	if err := crossOrigin.Check(r); err != nil {
		return adminError(http.StatusForbidden, "this call changes something, and a page of another origin has made it")
	}
	if name := strings.TrimPrefix(r.URL.Path, adminapi.Path); dashboard.Has(name) {
		return servePage(w, r, name)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	path, id := adminRoute(strings.TrimPrefix(r.URL.Path, adminapi.Path))
	methods := adminCalls[path]
	if methods == nil {
		return adminError(http.StatusNotFound, "there is nothing at this path: see %swidgets and %sstats, or open %s in a browser", adminapi.Path, adminapi.Path, adminapi.Path)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	call := methods[method]
	if call == nil {
		var allowed []string
		for _, m := range []string{"GET", "POST", "PATCH", "DELETE"} {
			if methods[m] != nil {
				allowed = append(allowed, m)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return adminError(http.StatusMethodNotAllowed, "the method here is %s", strings.Join(allowed, " or "))
	}
	if id != "" && !widgets.ValidID(id) {
		return adminError(http.StatusBadRequest, "that is no widget id: 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")
	}
	app, err := activeApp()
	if err != nil {
		return adminError(http.StatusServiceUnavailable, "%v", err)
	}
	return adminFailure(w, call(&adminCall{app, w, r, id}))
}

// adminRoute splits a path into one of adminCalls' and the widget's id.
func adminRoute(path string) (route, id string) {
	rest, ok := strings.CutPrefix(path, "widgets/")
	if !ok {
		return path, ""
	}
	id, action, ok := strings.Cut(rest, "/")
	if id == "" {
		return path, ""
	}
	if !ok {
		return "widgets/*", id
	}
	return "widgets/*/" + action, id
}

func adminError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// adminFailure gives an error the status that it stands for.
func adminFailure(w http.ResponseWriter, err error) error {
	if _, ok := err.(caddy.APIError); ok || err == nil {
		return err // Caddy looks for it at the outside
	}
	status := http.StatusInternalServerError
	_, missing := errors.AsType[*widgets.MissingKeyError](err)
	switch {
	case errors.Is(err, widgets.ErrExists), errors.Is(err, widgets.ErrTooManySecrets):
		status = http.StatusConflict
	case errors.Is(err, widgets.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, ledger.ErrUnavailable), errors.Is(err, widgets.ErrUnavailable), errors.Is(err, widgets.ErrBusy), errors.Is(err, widgets.ErrNoKey),
		errors.Is(err, widgets.ErrSeal), missing:
		w.Header().Set("Retry-After", "10")
		status = http.StatusServiceUnavailable
	}
	// An operator has no use for the package's name.
	return caddy.APIError{HTTPStatus: status, Err: err, Message: strings.TrimPrefix(strings.TrimPrefix(err.Error(), "widgets: "), "ledger: ")}
}

// read reads the call's body as a JSON object into v. An empty body leaves it
// as it is. No error holds a value: one may be a secret.
func (c *adminCall) read(v any) error { return c.readLarge(v, maxAdminBody) }

// readLarge is read with another limit to the body.
func (c *adminCall) readLarge(v any, limit int64) error {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return adminError(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", limit)
	}
	if err != nil {
		return adminError(http.StatusBadRequest, "the body did not arrive whole")
	}
	if len(body) == 0 {
		return nil
	}
	if string(bytes.TrimSpace(body)) == "null" {
		return adminError(http.StatusBadRequest, "the body is null: send a JSON object, or nothing")
	}
	err = jsonv2.Unmarshal(body, v, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*jsonv2.SemanticError](err); ok {
		if errors.Is(err, jsonv2.ErrUnknownName) {
			return adminError(http.StatusBadRequest, "the body has a member %s, which this call does not take", e.JSONPointer)
		}
		return adminError(http.StatusBadRequest, "the body's member %s is of the wrong type", e.JSONPointer)
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return adminError(http.StatusBadRequest, "the body is not valid JSON, near byte %d", e.ByteOffset)
	}
	return adminError(http.StatusBadRequest, "the body cannot be read as a JSON object")
}

func (c *adminCall) answer(status int, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(status)
	_, _ = c.w.Write(append(text, '\n'))
	return nil
}

// writable refuses a widget that is not the store's.
func (c *adminCall) writable(id string) error {
	if c.declared(id) {
		return adminError(http.StatusConflict, "widget %s is declared in the configuration: change it there, then reload", id)
	}
	return nil
}

// secretOf checks a secret that somebody brings along.
func secretOf(text string) (verifier.Secret, error) {
	if len(text) > maxSecret {
		return verifier.Secret{}, adminError(http.StatusBadRequest, "the secret is longer than %d bytes", maxSecret)
	}
	if err := secrettext.CheckReplaced(text); err != nil {
		return verifier.Secret{}, adminError(http.StatusBadRequest, "%w: give the secret itself", err)
	}
	secret, err := verifier.NewSecret(text)
	if err != nil {
		return secret, adminError(http.StatusBadRequest, "the secret is shorter than %d bytes: leave it out to have one made", verifier.MinSecret)
	}
	return secret, nil
}

// maxSecret is the longest secret that is stored, in bytes.
const maxSecret = 1024

// Interface guards
var (
	_ caddy.AdminRouter = adminAPI{}
	_ caddy.Provisioner = adminAPI{}
)
