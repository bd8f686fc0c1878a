package sites

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
)

// CheckMatcher refuses a chat_identity directive's matcher that reads what chat_identity
// finds, or one of our headers: it is evaluated before the client's are removed, so the
// client would choose what is verified.
func CheckMatcher(matcher caddy.ModuleMap, renamed []hop.Header) error {
	if anyWritten(matcher, readsOutcome) {
		return ErrOwnOutcome
	}
	read := ""
	anyWritten(matcher, func(name, text string) bool {
		read = readsHeader(name, text, renamed)
		return read != ""
	})
	if read != "" {
		return fmt.Errorf("the matcher reads a header %s, which the client's request may still have when it is evaluated: match something else", textproto.CanonicalMIMEHeaderKey(read))
	}
	return nil
}

// readsHeader returns the first of our headers, or of those that ours are renamed to, that
// a matcher reads; "" for none. The text is the matcher's JSON.
func readsHeader(name, text string, renamed []hop.Header) string {
	before := "http-request-header-" // the placeholder
	switch name {
	case "header", "header_regexp", "expression":
		before = ""
	}
	folded := hop.Fold(text)
	for _, prefix := range hop.Ours {
		if strings.Contains(folded, before+string(prefix)) {
			return string(prefix) + "*"
		}
	}
	for _, header := range renamed {
		if strings.Contains(folded, cmp.Or(before, "-")+string(header)+"-") {
			return string(header)
		}
	}
	return ""
}

// readsOutcome reports whether a matcher reads a handler's findings.
func readsOutcome(name, text string) bool {
	return name == "chat_identity" || strings.Contains(text, "{http.chat_identity.")
}

// anyMatcher reports whether holds is true for the name and JSON of a matcher, negated
// ones included.
func anyMatcher(sets caddyhttp.MatcherSets, holds func(name, text string) bool) bool {
	for _, set := range sets {
		for _, matcher := range set {
			if not, ok := matcher.(*caddyhttp.MatchNot); ok && anyMatcher(not.MatcherSets, holds) {
				return true
			}
			if holds(written(matcher)) {
				return true
			}
		}
	}
	return false
}

// anyWritten is anyMatcher before provisioning.
func anyWritten(matchers caddy.ModuleMap, holds func(name, text string) bool) bool {
	for name, text := range matchers {
		var negated []caddy.ModuleMap
		if name == "not" && json.Unmarshal(text, &negated) == nil {
			for _, set := range negated {
				if anyWritten(set, holds) {
					return true
				}
			}
		} else if holds(name, string(text)) {
			return true
		}
	}
	return false
}

// written returns a matcher's name and its JSON.
func written(matcher any) (name, text string) {
	module, ok := matcher.(caddy.Module)
	if !ok {
		return "matcher", ""
	}
	document, _ := json.Marshal(matcher) // what cannot be encoded reads nothing
	return strings.TrimPrefix(string(module.CaddyModule().ID), "http.matchers."), string(document)
}

// listed returns the list of the set's matcher of type M, nil without one.
func listed[M ~[]string](set caddyhttp.MatcherSet) []string {
	for _, m := range set {
		if list, ok := m.(*M); ok {
			return *list
		}
	}
	return nil
}
