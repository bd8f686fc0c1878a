package caddymodule

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Bounds of the lifetime of sessions.
const (
	minSession = time.Minute
	maxSession = 24 * time.Hour
)

// sessionPlaces are where a session travels unless 'claim session' says otherwise.
var sessionPlaces = []verifier.Place{
	{Field: verifier.SessionField, Location: intake.AtHeader, Name: "X-Chat-Session"},
	{Field: verifier.SessionField, Location: intake.AtQuery, Name: "chat_session"},
}

// sessionHeader is removed by every handler, whether it takes sessions or not.
var sessionHeader = hop.NewHeader(sessionPlaces[0].Name)

// errSessionBeside refuses a session beside something else that says otherwise.
var errSessionBeside error = &verifier.Error{Err: verifier.ErrAmbiguous, Field: verifier.SessionField, Detail: "is beside a claim of another user, or one that does not verify"}

// session is what was found of a request's session.
type session struct {
	found    bool // it may be in the body
	verified bool // it verifies, whether or not it counts
	counts   bool // it is what was judged: nothing else is a claim
	ended    bool // it is one of the widget's, as far as can be read, and does not verify
}

// checkSession checks the option, and that no session is placed where none is taken.
func (h *Handler) checkSession() error {
	l := time.Duration(h.Session)
	if l == 0 && slices.ContainsFunc(h.Claims, ClaimPlace.ofSession) {
		return ofOption("claim session", errors.New("claim session: this handler takes no sessions: add the option session, as in 'session 1h'"))
	}
	return h.checkLifetime(period.Text(l))
}

// checkLifetime checks the lifetime of sessions, which was written so.
func (h *Handler) checkLifetime(written string) error {
	if l := time.Duration(h.Session); l != 0 && (l < minSession || l > maxSession || l%time.Second != 0) {
		return ofOption("session", fmt.Errorf("session: '%s' is not a lifetime of sessions: it is from 1m to 24h, in whole seconds", written))
	}
	return nil
}

func (c ClaimPlace) ofSession() bool { return c.Field == verifier.SessionField.String() }

// provisionSession compiles where sessions are, for whoever removes them.
func (h *Handler) provisionSession(places []verifier.Place) (err error) {
	places = slices.DeleteFunc(slices.Clone(places), func(p verifier.Place) bool { return p.Field != verifier.SessionField })
	for _, p := range places {
		if p.Location == intake.AtHeader {
			h.sessionHeaders = append(h.sessionHeaders, hop.NewHeader(p.Name))
		}
	}
	if h.Session != 0 {
		h.sessions, err = h.placesOf(verifier.Dialect{Message: "{user_id}", At: h.At, Places: places}, verifier.SessionField)
	}
	return err
}

// rules identify how a plan has a claim proved, to bind sessions to.
func (h *Handler) rules(d *verifier.Dialect) ([sha256.Size]byte, error) {
	text, err := json.Marshal(struct {
		Dialect, Message, Proof string
		Token                   verifier.Token
		OneTime                 bool
		MaxAge                  time.Duration
	}{d.Name, d.Message, cmp.Or(d.Proof, "any"), d.Token, h.OneTime, d.MaxAge})
	return sha256.Sum256(text), err
}

// carriesSession reports whether a session in the query counts: browsers can put it nowhere
// else in a WebSocket's or an event stream's request. An extended CONNECT opens a WebSocket.
func carriesSession(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodConnect
}

// ofSessions reports whether sessions travel in a header of that name, in any spelling.
func (h *Handler) ofSessions(name string) bool {
	return sessionHeader.Is(name) || slices.ContainsFunc(h.sessionHeaders, func(header hop.Header) bool { return header.Is(name) })
}

// takeSessionHeader keeps the values of a header that is removed, if sessions travel in it.
func (h *Handler) takeSessionHeader(s *state, name string, values []string) (taken bool) {
	if !h.ofSessions(name) {
		return false
	}
	if s.sessions == nil {
		s.sessions = make(http.Header)
	}
	s.sessions[name] = values
	return true
}

// withoutStraySession removes a session from a query in which it does not count.
func (x *exchange) withoutStraySession() {
	if p := x.h.sessions; p != nil && (x.r.URL.RawQuery != "" || rewritten(x.r)) && !carriesSession(x.r) {
		cutQuery(x.r, p)
	}
}

// withoutSession removes the session from the request, verified or not: whoever has it is
// the user. In the body it stays until that is passed on, since the reading shares its memory.
func (x *exchange) withoutSession() {
	if x.h.sessions == nil {
		return
	}
	x.session.found = x.mode == widgets.ModeOff || x.reading.Has(verifier.SessionField)
	if x.session.found || rewritten(x.r) {
		x.cutHead(x.h.sessions, verifier.Field.Proves)
	}
}

// withoutSessionInBody removes it from the body as that is by now.
func (x *exchange) withoutSessionInBody() {
	if x.session.found && x.h.sessions.InBody() {
		x.cutOnly(x.h.sessions, "")
	}
}

// verifySession weighs the session against what else the request says of its user. It may
// count where nothing else is a claim, and beside one both must say the same. One that does not
// verify is left out beside a claim that does: after a rotation a page has an old session
// beside a new claim.
func (x *exchange) verifySession() {
	switch judgment.ReasonOf(x.claim) {
	case "", judgment.Missing, judgment.Partial, judgment.Invalid, judgment.Expired:
	default:
		return
	}
	sessions := x.sessions()
	identity, err := sessions.Verify(&x.reading, x.currentKeys(), x.plan.policy.Time())
	x.session.verified = err == nil
	claimed := x.claim == nil || x.reading.Has(verifier.Signature) || x.reading.Has(verifier.TokenField)
	switch {
	case claimed && err != nil:
	case claimed && (x.claim != nil || identity.User() != x.identity.User()), err == nil && x.reading.OtherUser(identity.User()):
		x.claim = errSessionBeside
	case !claimed:
		x.session.counts = true
		x.identity, x.claim = identity, x.unverifiable(err)
		if err != nil {
			widget, _, readable := verifier.ReadSession(string(x.reading.Single(verifier.SessionField)))
			x.session.ended = readable && widget == sessions.Widget
		}
	}
}

// sessionDetail is [Handler.detail] for a request whose session was judged, "" for others.
func (x *exchange) sessionDetail(reason judgment.Reason, cause error) string {
	switch {
	case cause == errSessionBeside:
		return "The session is beside an identity claim of another user, or one that does not verify. Send the session alone, or identify the user anew."
	case !x.session.counts:
	case reason == judgment.Invalid:
		return "The session is not one of this widget under the rules of this path, or the secret behind it was retired. Identify the user anew."
	case reason == judgment.Expired:
		return "The session is over. Identify the user anew."
	}
	return ""
}

// sessions are those that prove the request's user.
func (x *exchange) sessions() verifier.Sessions {
	s := verifier.Sessions{Rules: x.plan.rules, Shared: x.h.app.ring.Load().Sessions()}
	if x.widget != nil {
		s.Widget, s.Unversioned = x.widget.id, x.widget.inline != nil
	}
	return s
}

// identifiedSession is a session as identify gives it.
type identifiedSession struct {
	Token     string `json:"token"`
	ExpiresIn int64  `json:"expires_in"` // in seconds
}

// trade gives a session for a verified claim, nil for none. A one-time claim is spent for it.
func (x *exchange) trade() *identifiedSession {
	h := x.h
	if h.Session == 0 || x.claim != nil || x.identity.BySession() {
		return nil
	}
	if x.identity.Thumbprint() != "" {
		if err := h.app.ensureSessionKey(); err != nil {
			x.claim = fmt.Errorf("%w: %w", judgment.ErrUnavailable, err)
			return nil
		}
	}
	if h.OneTime {
		if x.spend(); x.claim != nil {
			return nil
		}
	}
	sessions, lifetime := x.sessions(), time.Duration(h.Session)
	token := sessions.Sign(x.identity, x.plan.policy.Time().Add(lifetime))
	return &identifiedSession{token, int64(lifetime / time.Second)}
}

// needsSessionKey reports whether sessions are signed with the encryption key: with public
// keys nobody can sign.
func (h *Handler) needsSessionKey() bool { return h.Session != 0 && h.plan.verifier.PublicKeys() }

// ensureSessionKey creates an encryption key if there is none.
func (a *App) ensureSessionKey() error {
	if a.ring.Load() != nil {
		return nil
	}
	err := a.ensureRing()
	if err != nil {
		a.log.Error("there is no encryption key, so no session can be signed for a widget with public keys", zap.Error(err))
	}
	return err
}

// checkSessionKey finds sessions that one gateway alone can verify.
func (h *Handler) checkSessionKey() {
	if h.needsSessionKey() && !h.app.configured {
		h.find(findings.SessionKeyLocal, "sessions for a widget with public keys are signed with the encryption key, which is this gateway's own, so no other gateway takes them")
	}
}
