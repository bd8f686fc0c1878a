package admin

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// needed is what a widget needs at least before it is called ready: more requests than one
// person sends from a test page, and time for pages to be closed that were opened before
// the customer's server began to sign.
var needed = adminapi.Evidence{Verified: 20, Minutes: 60}

// readiness answers whether a widget can be switched to required mode.
func (c *call) readiness() error {
	view, err := c.view(c.r.Context(), c.id)
	if view == nil && err == nil {
		return c.unknown()
	}
	// If the store cannot say whether the widget exists, its counts are still of use.
	r := c.Traffic.Readiness(c.id, err == nil)
	e := evidence{Readiness: r}
	if view != nil {
		if r.Mode = view.EffectiveMode; r.Mode == "" {
			e.unused = view.ModeWhy
		}
	}
	verdict, text := e.judge()
	return c.answer(http.StatusOK, adminapi.Readiness{Widget: c.id, Readiness: r, Verdict: verdict, Text: text + e.proofs(), Evidence: needed})
}

// evidence is what is known about a widget's requests.
type evidence struct {
	*traffic.Readiness
	unused string // why no request can use the widget, or ""
}

// judge says whether the widget can be switched to required mode, and why.
func (e *evidence) judge() (adminapi.Verdict, string) {
	unsigned := e.refusedFor(judgment.Missing)
	// What could not be checked is the gateway's fault, and says nothing about the customer.
	refused := e.Refused - e.refusedFor(judgment.Unavailable) - e.ended()
	period := "in the last " + strings.TrimPrefix(roughly(e.Now.Sub(e.From)), "1 ")
	judged := requests(e.Requests-e.Disabled) + " " + period
	switch {
	case e.Mode == widgets.ModeRequired.String():
		were := "were"
		if refused == 1 {
			were = "was"
		}
		return adminapi.Required, fmt.Sprintf("Required already: of %s, %d verified and %d %s refused, or would have been before this mode was set.%s",
			judged, e.Verified, refused, were, e.unchecked())
	case e.unused != "":
		return adminapi.Unknown, "Nothing is known, because no request can use this widget. " + e.unused
	case e.Requests == 0:
		return adminapi.Unknown, "Nothing is known yet: no requests " + period + "." + e.advice()
	case e.Requests == e.Disabled:
		return adminapi.Unknown, fmt.Sprintf("Nothing is known yet: %s %s, all in mode off, which verifies nothing.%s",
			requests(e.Disabled), period, e.advice())
	case refused > unsigned:
		return adminapi.NotReady, fmt.Sprintf("Not ready: of %s, required mode would have refused %d (%s.%s",
			judged, refused, e.reasons(), e.unchecked())
	case e.Verified == 0 && unsigned > 0:
		return adminapi.NotSigning, fmt.Sprintf("Nobody signs yet: 0 verified, and %s without a claim %s.%s", requests(unsigned), period, e.unchecked())
	case e.Verified < needed.Verified || e.minutes() < needed.Minutes:
		return adminapi.TooEarly, fmt.Sprintf("Too early to say: ready needs at least %d verified requests (%d so far) "+
			"and %d minutes of counting (%d so far%s). Until now required mode would have refused %s.%s",
			needed.Verified, e.Verified, needed.Minutes, e.minutes(), e.shortness(), requestsWithoutClaim(unsigned), e.unchecked())
	case unsigned > 0:
		return adminapi.Unsigned, fmt.Sprintf("Ready if users must sign in to chat: of %s, required mode would have refused %s.%s%s",
			judged, requestsWithoutClaim(unsigned), e.unchecked(), e.omitted())
	}
	return adminapi.Ready, fmt.Sprintf("Ready: of %s, %d verified, and required mode would have refused none.%s%s", judged, e.Verified, e.unchecked(), e.omitted())
}

// proofs says how far a widget has come from signatures to tokens.
func (e *evidence) proofs() string {
	if p := e.Proofs; p.Signature > 0 && p.Token > 0 {
		return fmt.Sprintf(" Of the verified requests, %d%% were proved by a token and %d by a signature: with no more of those, 'proof token' refuses nobody.",
			max(1, p.Token*100/(p.Token+p.Signature)), p.Signature)
	}
	return ""
}

func (e *evidence) refusedFor(reason judgment.Reason) uint64 {
	for i := range e.Refusals {
		if e.Refusals[i].Reason == reason {
			return e.Refusals[i].Count
		}
	}
	return 0
}

// advice says how to get evidence.
func (e *evidence) advice() string {
	if e.Mode != widgets.ModeOff.String() {
		return ""
	}
	return " Set the mode to optional to find out."
}

// minutes is for how long all requests have been verified.
func (e *evidence) minutes() int {
	if e.Verifying.IsZero() || e.Mode == widgets.ModeOff.String() {
		return 0
	}
	return int(e.Now.Sub(e.Verifying) / time.Minute)
}

// shortness says why there are so few minutes.
func (e *evidence) shortness() string {
	counting := e.Now.Sub(e.From)
	switch {
	case e.Mode == widgets.ModeOff.String():
		return ": the effective mode is off, which verifies nothing"
	case e.Verifying.IsZero():
		return ": the latest requests came in mode off"
	case counting < time.Duration(needed.Minutes)*time.Minute:
		return ": this gateway has counted for " + roughly(counting)
	}
	return ""
}

// reasons lists why requests would have been refused, closes the parenthesis, and says how
// long ago the last was with a claim.
func (e *evidence) reasons() string {
	var all []string
	var last time.Time
	for i := range e.Refusals {
		r := &e.Refusals[i]
		if r.Reason == judgment.Unavailable || r.Reason == traffic.Session && e.ended() > 0 {
			continue
		}
		text := fmt.Sprintf("%d %s", r.Count, r.Reason)
		if r.Always {
			text += ", in optional mode, too"
		}
		all = append(all, text)
		if r.Reason != judgment.Missing && len(r.Examples) > 0 && r.Examples[0].At.After(last) {
			last = r.Examples[0].At
		}
	}
	text := strings.Join(all, "; ") + ")"
	if !last.IsZero() {
		text += ", the latest " + roughly(e.Now.Sub(last)) + " ago"
	}
	return text
}

// ended is the number of requests whose session had ended, if pages got new ones for them: as
// many at least were then verified by a session.
func (e *evidence) ended() uint64 {
	if n := e.refusedFor(traffic.Session); n <= e.Proofs.Session {
		return n
	}
	return 0
}

// unchecked says what is not counted against the customer.
func (e *evidence) unchecked() (text string) {
	if n := e.refusedFor(judgment.Unavailable); n > 0 {
		text = fmt.Sprintf(" Not included: %s that could not be checked because the store, the ledger, an encryption key or space for uploads was unavailable. "+
			"Required mode refuses such requests, too, but the customer cannot help it.", requests(n))
	}
	if n := e.ended(); n > 0 {
		text += fmt.Sprintf(" Not included: %s with a session that had ended, for which a page gets a new one.", requests(n))
	}
	return text
}

// omitted says which fields were ignored.
func (e *evidence) omitted() string {
	if len(e.LeftOut) == 0 {
		return ""
	}
	var all []string
	for _, f := range e.LeftOut {
		all = append(all, fmt.Sprintf("%s in %s", f.Field, requests(f.Count)))
	}
	return " Left out because of how they were sent, though nothing is refused for it: " + strings.Join(all, ", ") + "."
}

func requests(n uint64) string { return adminapi.Count(n, "request") }

func requestsWithoutClaim(n uint64) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, all without a claim", n)
}

// roughly returns a duration in one unit.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return adminapi.Count(uint64(max(d, time.Second)/time.Second), "second")
	case d < 2*time.Hour:
		return adminapi.Count(uint64(d/time.Minute), "minute")
	}
	return adminapi.Count(uint64(d/time.Hour), "hour")
}
