package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// retryAfter is how many seconds a client should wait if the claim could not be checked.
const retryAfter = "5"

// lingering is how long a client may go on sending after it was answered.
const lingering = time.Second / 2

// problem is a problem document (RFC 9457).
type problem struct {
	Type   string          `json:"type"`
	Title  string          `json:"title"`
	Status int             `json:"status"`
	Code   string          `json:"code,omitempty"`
	Reason judgment.Reason `json:"reason,omitempty"`
	Detail string          `json:"detail"`
}

// refusal is the error that error routes get for a refused request.
type refusal struct{ problem }

func (r *refusal) Error() string { return r.Detail }

// refuse answers a request, or has the error routes answer it, without waiting for a body
// that was not read.
func (h *Handler) refuse(w http.ResponseWriter, x *exchange) error {
	p := h.problem(x, x.cause())
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "ChatIdentity")
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	case http.StatusMethodNotAllowed:
		header.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	h.CORS.Allow(header, x.r)
	x.closeUnread(header)
	h.log.refused(x, p.Status)
	if h.Refuse == refuseError && x.claim != errTunnel {
		x.withoutClaim()
		x.s.refused = true
		x.openBody().Discard(x.r)
		return caddyhttp.Error(p.Status, &refusal{p})
	}
	text, err := json.Marshal(p)
	if err != nil {
		return caddyhttp.Error(http.StatusInternalServerError, err)
	}
	x.answer(w, p.Status, "application/problem+json", append(text, '\n'))
	return nil
}

// unread reports whether the client may still be sending its body over HTTP/1.
func (x *exchange) unread() bool {
	return x.r.ProtoMajor == 1 && x.r.ContentLength != 0 && !x.openBody().Whole()
}

// closeUnread has the server send the answer without waiting for the rest of the body.
func (x *exchange) closeUnread(header http.Header) {
	if x.unread() {
		header.Set("Connection", "close")
	}
}

// answer sends an answer without waiting for a body that was not read.
func (x *exchange) answer(w http.ResponseWriter, status int, media string, text []byte) {
	header := w.Header()
	x.closeUnread(header)
	header.Set("Content-Type", media)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = w.Write(text) // a client that is gone misses nothing
	}
	if x.unread() {
		linger(w, x.r.Body)
	}
	if x.s.body != nil {
		_ = x.s.body.Close() // no other handler will read it
	}
}

// linger discards what a client is still sending after it was answered. Closing the
// connection would reset it, and the client might lose the answer (RFC 9112 section 9.6).
func linger(w http.ResponseWriter, body io.Reader) {
	control := http.NewResponseController(w)
	if control.Flush() == nil && control.SetReadDeadline(time.Now().Add(lingering)) == nil {
		_, _ = io.Copy(io.Discard, body)
	}
}

// problem tells an integrator what to fix and an attacker nothing: it has no value of the
// request, no secret and no digest.
func (h *Handler) problem(x *exchange, cause error) problem {
	reason := judgment.ReasonOf(cause)
	status := x.plan.answers[reason].status
	switch cause {
	case errTunnel:
		status = http.StatusMethodNotAllowed
	case intake.ErrStalled:
		status = http.StatusRequestTimeout
	}
	code := "identity_" + string(reason)
	if x.plan.dialect == verifier.DefaultDialect && status == http.StatusUnauthorized {
		code = "identity_unverified" // as Bookbag documents it
	}
	title := cmp.Or(http.StatusText(status), "Refused") // an operator may choose a status without a name
	return problem{"about:blank", title, status, code, reason, h.detail(x, reason, cause)}
}

func (h *Handler) detail(x *exchange, reason judgment.Reason, cause error) string {
	p := x.plan
	if text := x.sessionDetail(reason, cause); text != "" {
		return text
	}
	switch reason {
	case judgment.TooLarge:
		return h.tooLargeDetail(x)
	case judgment.Unsupported:
		return "The body must be sent without Content-Encoding and in UTF-8, so that its identity claim can be read."
	case judgment.Malformed:
		return malformedDetail(p, cause)
	case judgment.Ambiguous:
		return ambiguousDetail(p, cause)
	case judgment.Missing:
		return "No identity claim was found. Send " + p.fieldNames("") + ", signed on your server" + p.sessionWay() + "."
	case judgment.Partial:
		return "Only part of an identity claim was found. Send " + p.fieldNames(" together") + ", spelled exactly so."
	case judgment.WidgetUnknown:
		return "The request does not name a widget that is known here."
	case judgment.Unavailable:
		if errors.Is(cause, body.ErrNoRoom) {
			return "There is no room to store this upload at the moment. Try again later, or send a smaller one."
		}
		if errors.Is(cause, errNoAssertion) {
			return "This request cannot be vouched for at the moment. Try again later."
		}
		return "The identity claim cannot be verified at the moment. Try again later."
	case judgment.Invalid:
		if x.byToken() {
			return "The token does not verify. Sign it with the widget's key by " + cmp.Or(strings.Join(p.policy.Token.Algorithms, " or "), "HS256") + ", with everything that is required of it."
		}
		return fmt.Sprintf("The signature does not match. Send the HMAC-SHA256 of %s with the widget's secret, in %s.", p.policy.Message, p.policy.Encoding)
	case judgment.Expired:
		if errors.Is(cause, ledger.ErrTooOld) {
			return "This signature is too old to be accepted. Sign anew."
		}
		if x.byToken() {
			return fmt.Sprintf("The token has expired, is not valid yet, or expires more than %s from now. Sign a new one, and check the signing server's clock.", period.Text(p.policy.Token.MaxLifetime))
		}
		return fmt.Sprintf("The signed timestamp is older than %s or more than %s ahead. Sign anew, and check the signing server's clock.", period.Text(p.policy.MaxAge), period.Text(p.policy.Skew))
	case judgment.Replayed:
		if x.byToken() {
			return "This token was used before. Sign a new one for each use."
		}
		return "This signature was used before. Sign anew for each use."
	default:
		return "This conversation belongs to another user."
	}
}

func ambiguousDetail(p *plan, cause error) string {
	e, ok := errors.AsType[*verifier.Error](cause)
	switch {
	case !ok:
		return "A field of the identity claim appears more than once. Send it once."
	case e.Field >= verifier.Widget:
		return "The request's " + p.fieldName(e.Field) + " " + e.Detail + ". Send it once."
	}
	return "The identity claim's " + p.fieldName(e.Field) + ", or a name that leads to it, " + e.Detail + ". Send it once."
}

func malformedDetail(p *plan, cause error) string {
	e, ok := errors.AsType[*verifier.Error](cause)
	switch {
	case !ok:
		return "The request cannot be read."
	case e.Part == "":
		return fmt.Sprintf("The identity claim's %s %s.", p.fieldPlaces(e.Field), e.Detail)
	case e.Name == "":
		return "The " + e.Part + " " + e.Detail + "."
	}
	return "The " + e.Part + " names " + e.Name + ", which belongs to an identity claim, and " + e.Detail + "."
}

func (h *Handler) tooLargeDetail(x *exchange) string {
	if x.body.Declared.Upload() {
		return fmt.Sprintf("The upload is larger than %d bytes, or its fields without the files are larger than %d.", h.MaxUpload, h.MaxBody)
	}
	return fmt.Sprintf("The body is larger than the %d bytes that are read for an identity claim.", h.MaxBody)
}

// byToken reports whether the request's proof is a token.
func (x *exchange) byToken() bool {
	return x.plan.needs(verifier.TokenField) && len(x.reading.Unverified(verifier.TokenField)) > 0
}

// needs reports whether the field is one of those that prove who someone is: a token, or
// those of a signature.
func (p *plan) needs(f verifier.Field) bool {
	switch d := &p.policy; {
	case f == verifier.TokenField:
		return d.TakesToken() && d.Proof != "signature"
	case d.Proof == "token":
		return false
	case f == verifier.Signature:
		return d.Message != ""
	}
	return p.verifier.Signs(f)
}

// fieldNames lists the fields that must be sent, by the names they are sent by. Those of a
// signature must be sent together.
func (p *plan) fieldNames(together string) string {
	var ways, names []string
	for f := verifier.UserID; f <= verifier.Email; f++ {
		if f != verifier.TokenField && p.needs(f) {
			names = append(names, p.fieldName(f))
		}
	}
	if last := len(names) - 1; last > 0 {
		ways = append(ways, strings.Join(names[:last], ", ")+" and "+names[last]+together)
	}
	if p.needs(verifier.TokenField) {
		ways = append(ways, "a token in "+p.fieldName(verifier.TokenField))
	}
	return strings.Join(ways, ", or ")
}

// sessionWay says where a session may be in place of a claim, "" where none is taken.
func (p *plan) sessionWay() string {
	var ways []string
	for _, place := range p.policy.Places {
		if place.Field != verifier.SessionField {
			continue
		}
		way := placeName(place)
		if place.Location == intake.AtQuery {
			way += " in the query of a GET or a WebSocket"
		}
		ways = append(ways, way)
	}
	if ways == nil {
		return ""
	}
	return ", or a session in " + strings.Join(ways, " or ")
}

// fieldName is the name of the field's first place.
func (p *plan) fieldName(f verifier.Field) string { return append(p.placeNames(f), f.String())[0] }

// fieldPlaces names all places of the field, where it is not known which of them is meant.
func (p *plan) fieldPlaces(f verifier.Field) string {
	return cmp.Or(strings.Join(p.placeNames(f), " or "), f.String())
}

// placeNames are the names of all places of the field, in order.
func (p *plan) placeNames(f verifier.Field) (names []string) {
	for _, place := range p.policy.Places {
		if name := placeName(place); place.Field == f && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// placeName is the name of a field there, and of the object or text that it is in.
func placeName(p verifier.Place) string {
	pointer := p.Name
	if p.Within != "" {
		pointer = "/" + strings.TrimPrefix(p.Name, "/") + p.Within
	}
	if !strings.HasPrefix(pointer, "/") {
		return pointer
	}
	last := strings.LastIndexByte(pointer, '/')
	if last == 0 {
		return pointer[1:]
	}
	return pointer[last+1:] + " in " + pointer[1:last]
}

// errTunnel refuses a CONNECT, whose traffic cannot be verified.
var errTunnel error = &verifier.Error{Err: verifier.ErrMalformed, Part: "body", Detail: "of a CONNECT request is a tunnel, which cannot be verified"}

// refuseTunnel refuses a tunnel in every mode. It answers even with refuse error, since an
// error route may proxy.
func (h *Handler) refuseTunnel(w http.ResponseWriter, r *http.Request, s *state) error {
	x := newExchange(h, w, r, s)
	defer x.release()
	x.mode = h.modeFor(nil)
	x.claim = errTunnel
	x.recordOutcome()
	if r.ProtoMajor == 1 {
		// What follows on this connection must not be parsed as a request.
		w.Header().Set("Connection", "close")
	}
	return h.refuse(w, x)
}

// refuseStopped answers a request that the next handler could not complete because its
// client stopped sending.
func (h *Handler) refuseStopped(w http.ResponseWriter, r *http.Request, s *state) error {
	x := newExchange(h, w, r, s)
	defer x.release()
	x.mode = s.mode
	if p := h.plans[s.dialect]; p != nil {
		x.plan = p
	}
	h.unpublish(r, s)
	x.claim = intake.ErrBroken
	x.recordOutcome()
	return h.refuse(w, x)
}
