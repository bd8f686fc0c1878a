package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// maxBody is the largest body of most calls, in bytes.
const maxBody = 64 << 10

// call is one call of the API. It passes through the mux as the response writer and
// brings back the error.
type call struct {
	http.ResponseWriter
	*Gateway
	active func() (*Gateway, error)
	r      *http.Request
	id     string // of the widget, if the call is about one
	query  url.Values
	err    error

	// For the audit log.
	action  string // what is logged, if the call is
	changes []change
	notes   []zap.Field
}

// operation performs a call.
type operation struct {
	do     func(*call) error
	action string   // its name in the audit log, if it changes something or shows a secret
	takes  []string // query parameters
}

// ServeHTTP implements [http.Handler].
func (o *operation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := w.(*call)
	c.r, c.id, c.action = r, r.PathValue("id"), o.action
	switch {
	case strings.Contains(c.id, "/"): // it was escaped
		c.err = nothingHere()
	case c.id != "" && !widgets.ValidID(c.id):
		c.err = badID()
	case crossOrigin.Check(r) != nil:
		c.err = adminError(http.StatusForbidden, "this request changes something and comes from a page of another origin")
	default:
		if c.Gateway, c.err = c.active(); c.err != nil {
			c.err = adminError(http.StatusServiceUnavailable, "%v", c.err)
			return
		}
		if c.query, c.err = o.query(r); c.err == nil {
			c.err = o.do(c)
		}
	}
}

func badID() error {
	return adminError(http.StatusBadRequest, "invalid widget id: use 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")
}

func adminError(status int, format string, args ...any) error {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

// failure returns the call's error, if any, with its status.
func (c *call) failure() error {
	err := c.err
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[caddy.APIError](err); ok { // Caddy looks for it outermost
		return caddy.APIError{HTTPStatus: api.HTTPStatus, Err: err}
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
		c.Header().Set("Retry-After", "10")
		status = http.StatusServiceUnavailable
	}
	return caddy.APIError{HTTPStatus: status, Err: err, Message: Plain(err)}
}

// Plain returns an error's text without the name of a package, which is of no use to an
// operator.
func Plain(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "widgets: "), "ledger: ")
}

// read decodes the call's body, a JSON object, into v. An empty body leaves v as it
// is. Errors contain no values, because one could be a secret.
func (c *call) read(v any) error { return c.readLarge(v, maxBody) }

// readLarge is read with another limit.
func (c *call) readLarge(v any, limit int64) error {
	body, err := io.ReadAll(http.MaxBytesReader(c, c.r.Body, limit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return adminError(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", limit)
	}
	if err != nil {
		return adminError(http.StatusBadRequest, "the body was incomplete")
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
			if e.JSONPointer == "/public_key" {
				return adminError(http.StatusBadRequest, "the body has a member /public_key, which this call does not accept (did you mean public_keys, a list?)")
			}
			return adminError(http.StatusBadRequest, "the body has a member %s, which this call does not accept", e.JSONPointer)
		}
		if e.JSONPointer == "" {
			return adminError(http.StatusBadRequest, "the body has the wrong type")
		}
		return adminError(http.StatusBadRequest, "the body's member %s has the wrong type", e.JSONPointer)
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return adminError(http.StatusBadRequest, "the body is not valid JSON, near byte %d", e.ByteOffset)
	}
	return adminError(http.StatusBadRequest, "the body cannot be read as a JSON object")
}

func (c *call) answer(status int, v any) error { return c.answerAs("application/json", status, v) }

func (c *call) answerAs(media string, status int, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.Header().Set("Content-Type", media)
	c.WriteHeader(status)
	_, _ = c.Write(append(text, '\n'))
	return nil
}
