package verifier

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// checkAttributes holds an attributes' object to the limits. Members that are
// fields of their own do not count.
func (v *Verifier) checkAttributes(object []byte) *Error {
	l := &v.dialect.Limits
	if len(object) > l.AttributeBytes {
		return malformed(Attributes, fmt.Sprintf("are larger than %d bytes", l.AttributeBytes))
	}
	count, scalars := 0, true
	err := claimjson.Members(object, func(name []byte, value jsontext.Value) error {
		if v.owned(name) {
			return nil
		}
		count++
		switch value.Kind() {
		case '{', '[', 'n':
			scalars = false
		}
		return nil
	})
	switch {
	case err != nil:
		return malformed(Attributes, "hold a name twice, or half a surrogate pair")
	case count > l.Attributes:
		return malformed(Attributes, fmt.Sprintf("are more than %d", l.Attributes))
	case l.Scalars && !scalars:
		return malformed(Attributes, "hold a value that is neither string, number nor boolean")
	}
	return nil
}

// owned reports whether a member of the attributes is a field of its own.
func (v *Verifier) owned(name []byte) bool {
	return slices.ContainsFunc(v.ownMembers, func(o string) bool { return o == string(name) })
}

// AppendAttributes appends the claim's attributes, phone and company among
// them, to dst as one JSON object on one line, in ASCII alone, or nothing
// where there are none. A phone or company that is a field of its own hides an
// attribute of the same name. It is for use after [Verifier.Verify].
func (v *Verifier) AppendAttributes(dst []byte, r *Reading) []byte {
	return appendMembers(dst, &r.claim, r.claim[Attributes], v.ownMembers)
}
