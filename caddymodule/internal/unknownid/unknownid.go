// Package unknownid is about ids that requests name and that no widget has: how to show
// one, since a client chooses it, and which widgets may have been meant.
package unknownid

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// maxShown is how many bytes of an id are shown.
const maxShown = 128

// Text returns an id as it may be shown: at most 128 bytes of it, percent-encoded except
// for the characters of ids. What looks like a secret, a digest or a token is not shown:
// someone may have sent it in the wrong place.
func Text[T string | []byte](id T) string {
	if secrettext.Looks(string(id)) {
		return secrettext.Hidden(string(id))
	}
	return Escape(id, maxShown, "")
}

// Parts returns at most that many bytes of a text as [Escape] does, and of its parts
// between the dividers none that looks like a secret.
func Parts(text, dividers string, most int, other string) string {
	var b strings.Builder
	for text != "" && most > 0 {
		end := strings.IndexAny(text, dividers)
		if end < 0 {
			end = len(text)
		}
		part, divider := text[:end], text[end:min(end+1, len(text))]
		if plain, err := url.PathUnescape(part); err == nil && secrettext.Looks(plain) || secrettext.Looks(part) {
			b.WriteString(Text(part))
		} else {
			b.WriteString(Escape(part, most, other))
		}
		b.WriteString(divider)
		most -= end + 1
		text = text[end+len(divider):]
	}
	if text != "" && !strings.HasSuffix(b.String(), "…") {
		b.WriteString("…")
	}
	return b.String()
}

// Escape returns at most that many bytes of a text, percent-encoded except for letters,
// digits, `-._~` and the other characters given.
func Escape[T string | []byte](text T, most int, other string) string {
	var b strings.Builder
	for i := range min(len(text), most) {
		c := text[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte("-._~"+other, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if len(text) > most {
		b.WriteString("…")
	}
	return b.String()
}

const (
	maxListed  = 64 // ids of a store per question
	maxNearest = 3
)

// Nearest returns up to three ids that may have been meant instead, of the
// configuration's own and of those around it in the store. The id is one of [Text].
func Nearest(ctx context.Context, store widgets.Store, own iter.Seq[string], id string) []string {
	if plain, err := url.PathUnescape(id); err == nil {
		id = strings.TrimSpace(plain)
	}
	near := make(map[string]int)
	wanted := fold(id)
	consider := func(known string) {
		if d, ok := distance(wanted, fold(known)); ok {
			near[known] = d
		}
	}
	for known := range own {
		consider(known)
	}
	for _, prefix := range prefixes(id) {
		records, err := store.List(ctx, widgets.BeforePrefix(prefix), maxListed)
		for _, record := range records {
			consider(record.ID)
		}
		if err != nil || prefix == "" && len(records) < maxListed {
			break // the store cannot answer, or these are all
		}
	}
	ids := make([]string, 0, len(near))
	for known := range near {
		ids = append(ids, known)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(near[a], near[b]), strings.Compare(a, b)) })
	return ids[:min(len(ids), maxNearest)]
}

// prefixes are where to look in a store: at its beginning, which is all of a small one,
// and where ids begin as this one does.
func prefixes(id string) []string {
	all := []string{""}
	for _, form := range []string{id, strings.ToLower(id)} {
		if widgets.ValidID(form) {
			all = append(all, form[:len(form)-1], form[:1+len(form)/2], form[:1])
		}
	}
	return slices.Compact(all)
}

// fold returns an id's letters and digits, in lower case.
func fold(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(id[:min(len(id), maxShown)]))
}

// distance returns how many characters two ids differ in, if those are few, or if one
// begins with the other.
func distance(a, b string) (int, bool) {
	if len(a) > len(b) {
		a, b = b, a
	}
	limit := min(1+len(b)/4, 4)
	if len(a) >= 3 && strings.HasPrefix(b, a) {
		return min(len(b)-len(a), limit), true
	}
	if len(b)-len(a) > limit {
		return 0, false
	}
	d := choice.Distance(a, b)
	return d, d <= limit
}
