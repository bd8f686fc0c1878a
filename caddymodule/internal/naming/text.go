package naming

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Text is a text with placeholders that names a request's widget, conversation or
// visitor.
type Text struct {
	Field verifier.Field
	// Whole is the place whose placeholder is the whole text, the zero place for any other
	// text.
	Whole verifier.Place
	// Twins read the text's query parameters from the body, unless one is the whole text.
	Twins []*intake.Places
	// OfPath says that a placeholder depends on the path.
	OfPath bool

	text string
	// What the placeholders read.
	headers []intake.Header
	queries []*verifier.Verifier
	cookies []intake.Cookie
	header  string // the canonical name of one that is the whole text, which saves Caddy's replacer
}

// New parses a text. It refuses placeholders that nothing sets, and headers that are
// removed from every request.
func New(field verifier.Field, text string, removed func(header string) bool) (*Text, error) {
	t := &Text{Field: field, text: text}
	for rest := t.text; ; {
		before, after, ok := strings.Cut(rest, "{")
		if !ok {
			return t, nil
		}
		if strings.HasSuffix(before, `\`) { // a brace of the text
			rest = after
			continue
		}
		inner, after, ok := strings.Cut(after, "}")
		if !ok || strings.Contains(inner, "{") {
			return nil, fmt.Errorf("%s: '{' is not closed in '%s'", field, text)
		}
		if err := checkPlaceholder(inner); err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		rest = after
		whole := text == "{"+inner+"}"
		t.OfPath = t.OfPath || UsesPath(inner)
		if name, ok := strings.CutPrefix(inner, "http.request.header."); ok {
			if removed(name) {
				return nil, fmt.Errorf("%s: no id can travel in the header %s, which is removed from every request", field, name)
			}
			place := verifier.Place{Field: field, Location: intake.AtHeader, Name: name}
			if t.headers = append(t.headers, intake.NewHeader(place)); whole {
				t.Whole, t.header = place, textproto.CanonicalMIMEHeaderKey(name)
			}
		} else if name, ok := strings.CutPrefix(inner, "http.request.uri.query."); ok {
			place := verifier.Place{Field: field, Location: intake.AtQuery, Name: name}
			reader, err := newReader(place)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", field, err)
			}
			if t.queries = append(t.queries, reader); whole {
				t.Whole = place
				continue
			}
			both := []verifier.Place{place, intake.Member(field, name)}
			twin, err := newReader(both...)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", field, err)
			}
			t.Twins = append(t.Twins, intake.NewPlaces(twin, both))
		} else if name, ok := strings.CutPrefix(inner, "http.request.cookie."); ok {
			place := verifier.Place{Field: field, Location: intake.AtCookie, Name: name}
			if t.cookies = append(t.cookies, intake.NewCookie(place)); whole {
				t.Whole = place
			}
		}
	}
}

// newReader returns a verifier that only reads one field, from these places.
func newReader(places ...verifier.Place) (*verifier.Verifier, error) {
	return verifier.Dialect{Places: places, Message: "{user_id}"}.Reader()
}

// RequestParts are the first parts of Caddy's placeholders behind http.request, URIParts
// those behind http.request.uri (caddyhttp's replacer).
var (
	RequestParts = []string{
		"body", "body_base64", "cookie", "duration", "duration_ms", "header", "host", "hostport", "local", "method", "orig_method",
		"orig_uri", "port", "proto", "proto_name", "remote", "scheme", "tls", "uri", "uri_escaped", "uuid",
	}
	URIParts = []string{"path", "path_escaped", "prefixed_query", "query", "query_escaped"}
)

// shorthands are abbreviations and common misspellings. The Caddyfile adapter has expanded
// the abbreviations that it knows.
var shorthands = map[string]string{
	"header": "http.request.header.", "headers": "http.request.header.",
	"cookie": "http.request.cookie.", "cookies": "http.request.cookie.",
	"query": "http.request.uri.query.",
}

// checkPlaceholder refuses a placeholder of Caddy's that does not exist. Those of other
// modules are not known here.
func checkPlaceholder(name string) error {
	first, rest := firstPart(name)
	meant := first
	if rest != "" && !slices.Contains([]string{"http", "env", "file", "system", "time", "vars"}, first) {
		meant = choice.Nearest(first, slices.Collect(maps.Keys(shorthands)))
	}
	if full, ok := shorthands[meant]; ok && rest != "" {
		return fmt.Errorf("there is no placeholder {%s}: write {%s%s}", name, full, rest)
	}
	if strings.HasSuffix(name, ".") {
		return fmt.Errorf("there is no placeholder {%s}: a name follows the dot", name)
	}
	known, within := RequestParts, "http.request"
	inside, ok := strings.CutPrefix(name, "http.request.")
	if after, inURI := strings.CutPrefix(inside, "uri."); inURI {
		known, within, inside = URIParts, "http.request.uri", after
	}
	part, rest := firstPart(inside)
	if ok && part == "body" && rest != "" {
		return fmt.Errorf("there is no placeholder {%s}: to read it from a body, write 'body /%s' in its place", name, strings.ReplaceAll(rest, ".", "/"))
	}
	if ok && !slices.Contains(known, part) {
		return fmt.Errorf("there is no placeholder {%s}: %s is followed by one of %s", name, within, strings.Join(known, ", "))
	}
	return nil
}

// firstPart cuts a placeholder's name after its first part.
func firstPart(name string) (part, rest string) {
	if end := strings.IndexAny(name, "./"); end >= 0 {
		return name[:end], name[end+1:]
	}
	return name, ""
}

// String returns the text.
func (t *Text) String() string { return t.text }

// Read reads the id by means of an empty reading, own.
func (t *Text) Read(r *http.Request, own, to *verifier.Reading) {
	id, place := t.Of(r, own), verifier.Place{Field: t.Field}
	switch fault := own.Fault(t.Field); {
	case fault != nil:
		to.MarkMalformed(place, fault.Detail)
	case !own.Plain():
		to.MarkDuplicate(place)
	case id != "":
		to.Text(place, to.Copy(id))
	}
	own.Reset()
}

// Of returns the id. If the request names two, or one that cannot be read, it returns ""
// and the reading says so.
func (t *Text) Of(r *http.Request, to *verifier.Reading) string {
	if t.OfPath {
		if flaw := PathFlaw(r); flaw != "" {
			to.MarkMalformed(verifier.Place{Field: t.Field}, "is named by the path, which "+flaw+": servers read that in different ways")
			return ""
		}
	}
	if values := r.Header[t.header]; t.header != "" && t.Field == verifier.Widget && len(values) == 1 && !t.headers[0].Respelled(r.Header) {
		return values[0] // the common case
	}
	for i := range t.headers {
		if t.headers[i].Read(r.Header, to); !settled(to) {
			return ""
		}
		if t.Field != verifier.Widget && t.headers[i].Respelled(r.Header) {
			to.MarkDuplicate(t.headers[i].Place)
			return ""
		}
	}
	for _, reader := range t.queries {
		if reader.Query(to.Copy(r.URL.RawQuery), to); !settled(to) {
			return ""
		}
	}
	if t.header != "" {
		return strings.Join(r.Header[t.header], ",") // as the replacer does
	}
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	for i := range t.cookies {
		cookie := &t.cookies[i]
		cookie.Read(r, to)
		if value, _ := repl.GetString("http.request.cookie." + cookie.Cookie.Name()); value == "" && len(to.Single(t.Field)) > 0 {
			to.MarkDuplicate(cookie.Place) // the placeholder reads only the first one, which is empty or not read by Go
		}
		if !settled(to) {
			return ""
		}
	}
	if t.Field == verifier.Widget {
		return repl.ReplaceAll(t.text, "")
	}
	// A text with an empty placeholder would name the same conversation for everybody.
	id, err := repl.ReplaceOrErr(t.text, true, true)
	if err != nil {
		return ""
	}
	return id
}

// settled reports whether a place names at most one id, and then resets the reading for the
// next place.
func settled(to *verifier.Reading) bool {
	if !to.Plain() {
		return false
	}
	to.Reset()
	return true
}
