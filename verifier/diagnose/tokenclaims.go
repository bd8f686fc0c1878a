package diagnose

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// form returns what of the claims makes a token malformed: the user's id and the types of
// the times. One of another dialect, or a development token of Stream's, is nothing else.
func (t *token) form() (found []deviation, only bool) {
	if strings.HasSuffix(t.text, ".devtoken") {
		return []deviation{{"token_development", "this is a development token, which nobody has signed", "have your server sign one"}}, true
	}
	if t.claims == nil {
		if json.Unmarshal(t.jws.Payload, new(string)) == nil {
			return []deviation{{"payload_encoded_twice", "the payload is JSON within a text, so it was encoded twice", "sign the object itself"}}, true
		}
		return []deviation{{"payload_type", "the payload is no JSON object", "sign an object of the claims"}}, true
	}
	found = t.userID()
	if len(found) > 0 && found[0].id == "other_dialect" {
		return found, true
	}
	for _, name := range [...]string{"exp", "nbf", "iat"} {
		value, there := t.claims[name]
		switch _, ok := t.unix(name); value.(type) {
		case json.Number:
			if !ok {
				found = append(found, notSeconds(name))
			}
		case string:
			found = append(found, deviation{name + "_text", "the token's " + name + " is a text", "write it as a number of seconds since 1970, without quotation marks"})
		default:
			if there {
				found = append(found, deviation{name + "_type", "the token's " + name + " is not a number", "write it as a number of seconds since 1970, or leave it out"})
			} else if name == "exp" && !t.rules.NoExpiry {
				found = append(found, deviation{"no_exp", "the token has no exp, so it would be good forever", "add exp, or have the gateway take such tokens with no_expiry"})
			}
		}
	}
	return found, false
}

// userIDNames are names under which tokens have the id of a user, those of the dialects among
// them.
var userIDNames = []string{
	"sub", "user_id", "userId", "userID", "uid", "id", "_id", "external_id", "externalId", "reference_id", "customer_id", "customerId", "account_id", "contact_id",
	"email", "username", "user_name", "preferred_username", "upn", "oid", "user",
}

func (t *token) userID() []deviation {
	for _, pointer := range t.rules.UserID {
		asText := "write it as a text, in quotation marks"
		switch value := t.at(pointer).(type) {
		case nil:
			continue
		case json.Number:
			n, err := strconv.ParseFloat(string(value), 64)
			if whole := err == nil && n == math.Trunc(n); whole && !t.rules.TextUserID && math.Abs(n) >= 1<<53 {
				return []deviation{{"user_id_large", "the user id at " + pointer + " is a number beyond 2^53-1, which many programs round", asText}}
			}
			if _, err := strconv.ParseInt(string(value), 10, 64); err != nil || t.rules.TextUserID {
				return []deviation{{"user_id_number", "the user id at " + pointer + " is a number", asText}}
			}
		case string:
			if value == "" {
				continue
			}
		default:
			return []deviation{{"user_id_type", "the user id at " + pointer + " is neither a text nor a number", asText}}
		}
		return nil
	}
	where := strings.Join(t.rules.UserID, " or ")
	names := slices.DeleteFunc(t.has(userIDNames...), func(name string) bool { return slices.Contains(t.rules.UserID, "/"+name) })
	if len(names) > 0 {
		found := deviation{"user_id_elsewhere", "the token has no user id at " + where + ", but has " + enumerate(names),
			"sign the user's id as " + where + ", or name the claim that has it in the option user_id"}
		for _, d := range verifier.Dialects {
			// Anybody's token has a sub.
			if d.Name != t.dialect.Name && d.TakesToken() && len(d.Token.UserID) > 0 && t.verifies(d, t.keys()) {
				return []deviation{{"other_dialect", found.did + " as a token of the dialect " + d.Name, found.fix + ", or name that dialect"}}
			}
		}
		return []deviation{found}
	}
	return []deviation{{"no_user_id", "the token has no user id at " + where, "add it"}}
}

// unix returns a time of the token, in seconds.
func (t *token) unix(name string) (seconds float64, ok bool) {
	const most = 1 << 53
	number, _ := t.claims[name].(json.Number)
	seconds, err := number.Float64()
	return seconds, err == nil && -most <= seconds && seconds <= most
}

// A time beyond maxSeconds (the year 5138) is in a smaller unit, and an exp below minSeconds
// (2001) is how long the token is good.
const maxSeconds, minSeconds = 1e11, 1e9

func notSeconds(name string) deviation {
	return deviation{name + "_milliseconds", "the token's " + name + " is in milliseconds or a smaller unit", "write seconds since 1970"}
}

// freshness returns what is wrong with the times of a token that is well-formed.
func (t *token) freshness() (found []deviation) {
	const setClock = "set the signing server's clock"
	add := func(d deviation, detail string, away time.Duration) {
		found, t.detail = append(found, d), fmt.Sprintf(detail, period.Text(away.Round(time.Second)))
	}
	for _, name := range [...]string{"nbf", "iat", "exp"} {
		seconds, ok := t.unix(name)
		if !ok {
			continue
		}
		away := time.Unix(int64(seconds), 0).Sub(t.now)
		switch {
		case seconds > maxSeconds:
			found = append(found, notSeconds(name))
		case name != "exp":
			if away > t.dialect.Skew {
				did := "the token's " + name + " is ahead of the gateway's clock by more than " + t.dialect.Skew.String()
				if hours := away.Round(30 * time.Minute); hours > 0 && hours <= 14*time.Hour && (away-hours).Abs() < 5*time.Minute {
					add(deviation{name + "_local", did + ", by what looks like a time zone", "count from 1970 in UTC, not in local time, or " + setClock}, name+" is %v ahead", away)
				} else {
					add(deviation{name + "_ahead", did, setClock}, name+" is %v ahead", away)
				}
			}
		case seconds >= 0 && seconds < minSeconds:
			found = append(found, deviation{"exp_duration", "the token's exp is how long it is good, and not when it expires", "add the current Unix time to it"})
		case away <= 0:
			add(deviation{"token_expired", "the token has expired", "have the page ask its server for a new one, and check the clocks"}, "it expired %v ago", -away)
		case away > t.rules.MaxLifetime+t.dialect.Skew:
			add(deviation{"exp_far", "the token's exp is further away than max_lifetime, which is " + period.Text(t.rules.MaxLifetime), "sign for a shorter time"}, "it expires in %v", away)
		}
	}
	return found
}

// demands returns which of the rules require and forbid do not hold.
func (t *token) demands() (found []deviation) {
	missing := map[string]string{"/iss": "another issuer's", "/aud": "meant for another audience"}
	for _, pointer := range slices.Sorted(maps.Keys(t.rules.Require)) {
		value := t.at(pointer)
		if meets(value, t.rules.Require[pointer]) {
			continue
		}
		name := "require_" + strings.TrimPrefix(pointer, "/")
		if value == nil {
			found = append(found, deviation{"require", "the token has no " + pointer + ", which 'require " + pointer + "' demands", "sign " + pointer + ", too"})
		} else if whose := missing[pointer]; whose != "" {
			found = append(found, deviation{name, "the token is " + whose + ": its " + pointer[1:] + " is none that 'require " + pointer + "' names", t.foreign()})
		} else {
			found = append(found, deviation{"require", "the token's " + pointer + " is none of the values that 'require " + pointer + "' names", "sign one of them"})
		}
	}
	for _, pointer := range t.rules.Forbid {
		if t.at(pointer) != nil {
			found = append(found, deviation{"forbid", "the token has " + pointer + ", which 'forbid " + pointer + "' refuses", "send a user's token, not one of a server"})
		}
	}
	return found
}

// foreign says what to do with a token that was made for something else.
func (t *token) foreign() string {
	if t.ofProvider() {
		return "send the token that the identity provider issues for this chat, not one for another application"
	}
	return "sign one that it names"
}

// ofProvider reports whether an identity provider has issued the token (OpenID Connect Core
// section 2).
func (t *token) ofProvider() bool {
	issuer, _ := t.claims["iss"].(string)
	return strings.HasPrefix(issuer, "https://") && len(t.has("at_hash", "c_hash", "azp", "nonce", "auth_time", "acr", "amr", "sid", "client_id", "scp", "email_verified")) > 0
}

// meets reports whether a value, or one of a list's, is one of those wanted.
func meets(value any, wanted []string) bool {
	switch value := value.(type) {
	case string:
		return slices.Contains(wanted, value)
	case json.Number:
		return slices.Contains(wanted, string(value))
	case bool:
		return slices.Contains(wanted, strconv.FormatBool(value))
	case []any:
		return slices.ContainsFunc(value, func(one any) bool {
			_, list := one.([]any)
			return !list && meets(one, wanted)
		})
	}
	return false
}
