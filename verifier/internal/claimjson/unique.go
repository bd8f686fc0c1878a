package claimjson

import (
	"bytes"
	"slices"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// Unique checks what some parsers tolerate anywhere in a JSON text, and read in
// different ways. It is not safe for concurrent use; reused, it does not allocate.
type Unique struct {
	names  []hashedName
	scopes []int // where the names of each open object begin in names; inArray for an array
}

type hashedName struct {
	hash       uint64 // of the folded name
	start, end int    // in the text, without the quotes
}

const inArray = -1

// Check returns [ErrDuplicate] for a text in which some object has a name twice,
// in the same letters or in others that fold to them, and [ErrSurrogate] for one in
// which a string escapes half a surrogate pair. The text must be one that [Scan] takes.
func (u *Unique) Check(text []byte) error {
	u.names, u.scopes = u.names[:0], u.scopes[:0]
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			u.scopes = append(u.scopes, len(u.names))
		case '[':
			u.scopes = append(u.scopes, inArray)
		case '}', ']':
			last := len(u.scopes) - 1
			if from := u.scopes[last]; from != inArray {
				u.names = u.names[:from]
			}
			u.scopes = u.scopes[:last]
		case '"':
			start := i + 1
			i = endString(text, start) - 1
			if after := endSpaces(text, i+1); after < len(text) && text[after] == ':' {
				if err := u.add(text, start, i); err != nil {
					return err
				}
			} else if bytes.IndexByte(text[start:i], '\\') >= 0 && hasHalf(text[start:i]) {
				return ErrSurrogate
			}
		}
	}
	return nil
}

// add notes a name of the innermost object.
func (u *Unique) add(text []byte, start, end int) error {
	hash := uint64(offset64)
	for raw := text[start:end]; len(raw) > 0; {
		r, rest := nextRune(raw)
		if r == half {
			return ErrSurrogate
		}
		hash = (hash ^ uint64(names.Fold(r))) * prime64
		raw = rest
	}
	for _, n := range u.names[u.scopes[len(u.scopes)-1]:] {
		if n.hash == hash && slices.Equal(folded(text[n.start:n.end]), folded(text[start:end])) {
			return ErrDuplicate
		}
	}
	u.names = append(u.names, hashedName{hash, start, end})
	return nil
}

// FNV-1a, whose steps are runes here.
const (
	offset64 = 14695981039346656037
	prime64  = 1099511628211
)

// folded returns the runes of a string's inside, each folded.
func folded(raw []byte) (runes []rune) {
	for len(raw) > 0 {
		var r rune
		r, raw = nextRune(raw)
		runes = append(runes, names.Fold(r))
	}
	return runes
}

func hasHalf(raw []byte) bool {
	for len(raw) > 0 {
		var r rune
		if r, raw = nextRune(raw); r == half {
			return true
		}
	}
	return false
}
