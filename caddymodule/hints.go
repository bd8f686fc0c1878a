package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/diagnose"
)

// noMistake is the hint if no common mistake explains the signature.
var noMistake = traffic.Hint{
	ID: "none_known",
	Text: "None of the common mistakes gives this signature: most likely another secret was used, or another text was signed. " +
		"Once a minute, the log says of such a request whether the secret is another widget's or a retired one.",
}

// noPrivateKey and noKey are the same of a token that a public key verifies.
var (
	noPrivateKey = traffic.Hint{
		ID:   "none_known",
		Text: "None of the common mistakes gives this signature: most likely another private key signed than the one whose public key is known here, or another text was signed.",
	}
	noKey = traffic.Hint{ID: "no_key", Text: "The widget has no public key now: its key set is empty, so publish the key that signs." + readAgain}
)

// readAgain reminds of when a key set is read.
const readAgain = " A set is read every 5 minutes, and for a kid that it lacks at most once in 30 seconds: a key that was published since is not known before."

// keptShorter is the hint if a one-time signature is fresh now but was not under the
// configuration when it was created.
var keptShorter = traffic.Hint{
	ID: "kept_shorter",
	Text: "max_age has become longer since this was signed, and used signatures were kept only for the shorter one: " +
		"it may have been used before. Sign anew.",
}

// hint tells an operator, in logs and readiness, what is wrong with the claim. It quotes
// nothing of the request. A signature is diagnosed, which takes a millisecond or two, only
// if search is set. The detail is about this claim alone, "" if the hint says it all.
func (x *exchange) hint(search bool) (h traffic.Hint, detail string) {
	reason, cause := x.s.reason, x.cause()
	if text := x.sessionDetail(reason, cause); text != "" {
		if reason == judgment.Invalid {
			return x.sessionHint()
		}
		return traffic.Hint{ID: "session_" + string(reason), Text: text}, ""
	}
	switch reason {
	case judgment.Invalid:
		if !search || x.widget == nil {
			return h, ""
		}
		mistake, ok := diagnose.Claim(x.plan.verifier, &x.reading, diagnose.Evidence{
			Document: x.document(), Widget: x.widget.id, Secrets: x.h.app.secrets(x.widget), Keys: x.keys,
		})
		public := x.byToken() && x.plan.verifier.PublicKeys()
		switch {
		case !ok && public && len(x.keys) == 0:
			return noKey, ""
		case !ok && public:
			return noPrivateKey, ""
		case !ok:
			return noMistake, ""
		case strings.Contains(mistake.ID, "unknown_kid"):
			mistake.Text += readAgain
		}
		return traffic.Hint{ID: mistake.ID, Text: mistake.Text + x.plan.firstCounts(mistake.ID)}, mistake.Detail
	case judgment.Missing:
		if h := x.unreadHint(); h.Text != "" {
			return h, ""
		}
		if text := x.plan.places.MisplacedToken(x.r.Header); text != "" {
			return traffic.Hint{ID: "token_scheme", Text: text}, ""
		}
	case judgment.Partial:
		if h := x.unreadHint(); h.Text != "" {
			return h, ""
		}
		return x.halfHint(), ""
	case judgment.Malformed, judgment.Expired:
		if x.byToken() && (search || reason == judgment.Expired) {
			// Without keys: its signature matches, or was not looked at.
			if mistake, ok := diagnose.Claim(x.plan.verifier, &x.reading, diagnose.Evidence{}); ok {
				return traffic.Hint{ID: mistake.ID, Text: mistake.Text}, mistake.Detail
			}
		} else if reason == judgment.Expired {
			return x.ageHint()
		}
	case judgment.WidgetUnknown:
		return x.unknownHint(), ""
	case judgment.Unavailable:
		if errors.Is(cause, verifier.ErrSecretEncoding) {
			kind := findings.SecretUndecoded
			return traffic.Hint{ID: string(kind), Text: "The widget's secret is not written in " + x.plan.policy.KeyEncoding + ", which is the key_encoding here. " + findings.Remedies[kind] + "."}, ""
		}
		detail = cause.Error()
	case judgment.ConversationClaimed:
		if errors.Is(cause, ledger.ErrShare) {
			detail = ledger.ErrShare.Error()
		}
	}
	return traffic.Hint{ID: string(reason), Text: x.h.detail(x, reason, cause)}, detail
}

// firstCounts reminds of the order of a user id's places, where another value of the request
// was signed: signers take the wrong one of them.
func (p *plan) firstCounts(mistake string) string {
	ranked := slices.ContainsFunc(p.policy.Places, func(place verifier.Place) bool { return place.Field == verifier.UserID && place.Rank > 0 })
	if !ranked || !strings.HasPrefix(mistake, "email_signed") && !strings.HasPrefix(mistake, "other_value_signed") {
		return ""
	}
	return " The user id is the first that is there of: " + strings.Join(p.placeNames(verifier.UserID), ", ") + "."
}

// document returns what the claim was found in: the headers, if the user's id is there, the
// body if it was read into memory, or else the query.
func (x *exchange) document() []byte {
	headers := make(map[string]string)
	for _, p := range x.plan.policy.Places {
		if value := x.r.Header.Get(p.Name); p.Location == intake.AtHeader && value != "" {
			headers[p.Name] = value
		}
	}
	inHeader := func(p verifier.Place) bool { return p.Field == verifier.UserID && headers[p.Name] != "" }
	if slices.ContainsFunc(x.plan.policy.Places, inHeader) {
		text, _ := json.Marshal(headers) // texts alone
		return text
	}
	if x.body.Body != nil && len(x.body.Text()) > 0 {
		return x.body.Text()
	}
	return []byte(x.r.URL.RawQuery)
}

// halfHint says which part of the claim is missing.
func (x *exchange) halfHint() traffic.Hint {
	var ids, names []string
	for field := verifier.UserID; field <= verifier.Email; field++ {
		if x.plan.needs(field) && len(x.reading.Unverified(field)) == 0 {
			ids = append(ids, "no_"+field.String())
			names = append(names, "no "+x.plan.fieldName(field))
		}
	}
	if e, ok := errors.AsType[*verifier.Error](x.claim); ok && e.Misspelled() {
		text := "There is a field that only some programs take for " + x.plan.fieldName(e.Field) + ": send " +
			x.plan.fieldNames("") + ", spelled exactly so and not in a list."
		if i := slices.IndexFunc(x.plan.policy.Places, func(p verifier.Place) bool {
			return p.Field == e.Field && p.Location == intake.AtBody && p.Within != ""
		}); i >= 0 {
			text += " In a JSON body, " + x.plan.policy.Places[i].Key() + " is an object and not a text."
		}
		return traffic.Hint{ID: "spelling", Text: text}
	}
	return traffic.Hint{ID: strings.Join(ids, "+"), Text: "There is " + strings.Join(names, " and ") + ": send " + x.plan.fieldNames(" together") + "."}
}

// ageHint says how far the timestamp is in the past or future.
func (x *exchange) ageHint() (traffic.Hint, string) {
	p := &x.plan.policy
	age := time.Since(x.plan.verifier.SignedAt(&x.reading)).Round(time.Second)
	if errors.Is(x.claim, ledger.ErrTooOld) {
		return keptShorter, fmt.Sprintf("the timestamp is %s old", period.Text(age))
	}
	if age < 0 {
		return traffic.Hint{
			ID:   "ahead",
			Text: fmt.Sprintf("The signed timestamp is more than %s ahead: set the signing server's clock.", period.Text(p.Skew)),
		}, fmt.Sprintf("the timestamp is %s ahead, and the limit is %s", period.Text(-age), period.Text(p.Skew))
	}
	return traffic.Hint{
		ID:   "too_old",
		Text: fmt.Sprintf("The signed timestamp is older than %s: sign anew for each page, and check the signing server's clock.", period.Text(p.MaxAge)),
	}, fmt.Sprintf("the timestamp is %s old, and the limit is %s", period.Text(age), period.Text(p.MaxAge))
}
