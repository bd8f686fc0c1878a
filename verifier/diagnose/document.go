package diagnose

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// addDocuments adds the JSON texts that are signed in place of the message:
// the whole, the object with the claim, each also without the signature, and
// an object of the user id alone; in the usual ways to write JSON.
func (p *format) addDocuments(v *variants, c *claim, document []byte) {
	if len(document) == 0 {
		return
	}
	right := p.signRight()
	whole := deviation{"json_signed", "the whole JSON text was signed", right}
	unsigned := deviation{"json_without_signature_signed", "the JSON text was signed as it was before the signature was added", right}
	named := deviation{"id_with_name_signed", "the user id was signed together with the name of its field", right}

	v.add(document, false, whole)
	for _, text := range jsonWritings(document) {
		v.add(text, false, whole)
	}
	start, end, ok := objectOf(document, c[verifier.Signature])
	if !ok {
		start, end, ok = objectOf(document, c[verifier.UserID])
	}
	if !ok {
		return
	}
	object := document[start:end]
	for _, text := range jsonWritings(object) {
		v.add(text, false, whole)
	}
	members, err := membersOf(object)
	if err != nil {
		return
	}
	rest := objectFrom(members, func(m *jsonMember) bool { return m.text != string(c[verifier.Signature]) })
	for _, text := range jsonWritings(rest) {
		v.add(text, false, unsigned)
	}
	around := append(append(append([]byte(nil), document[:start]...), rest...), document[end:]...)
	for _, text := range jsonWritings(around) {
		v.add(text, false, unsigned)
	}
	for i := range members {
		m := &members[i]
		if m.text != string(c[verifier.UserID]) {
			continue
		}
		alone := objectFrom(members[i:i+1], func(*jsonMember) bool { return true })
		for _, text := range jsonWritings(alone) {
			v.add(text, true, named)
		}
		v.add([]byte(m.name+"="+m.text), true, named)
		v.add([]byte(m.name+":"+m.text), true, named)
		return
	}
}

type jsonMember struct {
	name, text string // decoded; a value that is no string as it stands
	raw        []byte // quoted name, colon and value
}

func membersOf(object []byte) (members []jsonMember, err error) {
	err = claimjson.Members(object, func(name []byte, value jsontext.Value) error {
		raw := append(append(claimjson.Quote(string(name)), ':'), value...)
		members = append(members, jsonMember{string(name), jsonText(value), raw})
		return nil
	})
	return members, err
}

// jsonText returns a string's text, and any other value as it stands.
func jsonText(value jsontext.Value) string {
	if value.Kind() == '"' {
		if text, err := jsontext.AppendUnquote(nil, value); err == nil {
			return string(text)
		}
	}
	return string(value)
}

func objectFrom(members []jsonMember, keep func(*jsonMember) bool) []byte {
	object := []byte{'{'}
	for i := range members {
		if !keep(&members[i]) {
			continue
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(object, members[i].raw...)
	}
	return append(object, '}')
}

// objectOf returns where the object stands that has a member of that value.
func objectOf(document, wanted []byte) (start, end int, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(document))
	var starts []int
	depth := 0 // of the object that was found
	for {
		token, err := d.ReadToken()
		if err != nil {
			return 0, 0, false // io.EOF, or no JSON
		}
		switch token.Kind() {
		case '{', '[':
			starts = append(starts, int(d.InputOffset())-1)
		case '}', ']':
			if depth > 0 && len(starts) == depth {
				return starts[depth-1], int(d.InputOffset()), true
			}
			starts = starts[:len(starts)-1]
		case '"', '0':
			in, members := d.StackIndex(d.StackDepth())
			isValue := in == '{' && members%2 == 0
			if depth == 0 && isValue && token.String() == string(wanted) {
				depth = len(starts)
			}
		}
	}
}

// jsonWritings returns a JSON text as the usual encoders write it: compact, with
// Python's spaces, in ASCII alone, and with sorted names. Nobody signs large
// texts, so of one only the first.
func jsonWritings(document []byte) [][]byte {
	compact := jsontext.Value(bytes.Clone(document))
	if compact.Compact() != nil {
		return nil
	}
	if len(compact) > maxRewritten {
		return [][]byte{compact}
	}
	texts := [][]byte{compact, spaced(compact)}
	ascii := claimjson.AppendASCII(nil, compact)
	texts = append(texts, ascii, spaced(ascii))
	sorted := jsontext.Value(bytes.Clone(compact))
	if sorted.Canonicalize() == nil {
		texts = append(texts, sorted, spaced(sorted))
	}
	return texts
}

// spaced writes a space after each colon and comma of a compact JSON text.
func spaced(compact []byte) []byte {
	var text []byte
	inString := false
	for i := 0; i < len(compact); i++ {
		c := compact[i]
		text = append(text, c)
		switch {
		case inString && c == '\\':
			i++
			text = append(text, compact[i])
		case c == '"':
			inString = !inString
		case !inString && (c == ':' || c == ','):
			text = append(text, ' ')
		}
	}
	return text
}
