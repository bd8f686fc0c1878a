package diagnose

import (
	"bytes"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// addDocument adds what is signed of the document in place of the message: other values
// of it, alone and together with the user id, and, in JSON, the whole, the object with
// the claim, each also without the signature, and an object of the user id alone.
func (p *format) addDocument(v *variants, c *claim, e *Evidence) {
	id, signature, right := string(c[verifier.UserID]), string(c[verifier.Signature]), p.signRight()
	with := func(did, text string) deviation { return deviation{did, text, right} }
	if e.Widget != "" {
		for _, text := range together(id, e.Widget) {
			v.add(text, false, with("id_and_widget_signed", "the "+p.subject+" was signed together with the widget's id"))
		}
	}
	for _, f := range others(c, e) {
		which := "another value of the request, such as another user's id,"
		if slices.Contains(usualNames, f.name) || slices.Contains(p.names, f.name) { // else a name is the client's
			which = "the field " + f.name
		}
		v.add(f.text, false, with("other_value_signed", "the signature is that of "+which+" and not of the "+p.subject))
		both := with("id_and_other_value_signed", "the "+p.subject+" was signed together with another value of the request")
		if _, ok := unixTime([]byte(f.text)); ok {
			both = with("id_and_time_signed", "the "+p.subject+" was signed together with a timestamp")
		}
		for _, text := range together(id, f.text) {
			v.add(text, false, both)
		}
	}
	document, object := e.Document, -1
	for _, f := range e.fields {
		if f.text == signature || f.text == id && object < 0 {
			object = f.object
		}
	}
	if text := bytes.TrimSpace(document); object >= 0 && (text[0] == '{' || text[0] == '[') {
		p.addObjects(v, document, object, signature)
	}
	for _, f := range e.fields {
		if f.text == id {
			named := with("id_with_name_signed", "the "+p.subject+" was signed together with the name of its field")
			for _, text := range append(jsonWritings(objectOf([]docField{f})), f.name+"="+id, f.name+":"+id) {
				v.add(text, true, named)
			}
			break
		}
	}
}

// usualNames are those by which a hint may name a field.
var usualNames = []string{"email", "userEmail", "user_email", "name", "userName", "username", "phone", "company", "id", "userId", "user_id", "external_id", "externalId", "identifier", "text", "message"}

// signedTime is the time in a signature as Stripe writes it.
var signedTime = regexp.MustCompile(`\bt=(\d+),`)

// others returns the values of the document besides user id and signature, as many as are
// tried.
func others(c *claim, e *Evidence) []docField {
	fields := slices.Clone(e.fields)
	if t := signedTime.FindSubmatch(c[verifier.Signature]); t != nil {
		fields = append([]docField{{text: string(t[1])}}, fields...)
	}
	all := slices.DeleteFunc(fields, func(f docField) bool {
		return f.text == "" || f.text == string(c[verifier.UserID]) || f.text == string(c[verifier.Signature]) || !withinDiagnosis([]byte(f.text))
	})
	return all[:min(len(all), maxValues)]
}

// addObjects adds the JSON texts that are signed in place of the message.
func (p *format) addObjects(v *variants, document []byte, start int, signature string) {
	whole := deviation{"json_signed", "the whole JSON text was signed", p.signRight()}
	unsigned := deviation{"json_without_signature_signed", "the JSON text was signed as it was before the signature was added", p.signRight()}
	v.add(string(document), false, whole)
	if len(document) > maxRewritten {
		return // nobody signs large texts as they were before
	}
	object, err := jsontext.NewDecoder(bytes.NewReader(document[start:])).ReadValue()
	if err != nil {
		return
	}
	for _, text := range append(jsonWritings(document), jsonWritings(object)...) {
		v.add(text, false, whole)
	}
	var rest []docField
	var inner []string
	err = claimjson.Members(object, func(name []byte, value jsontext.Value) error {
		f := docField{name: string(name), value: value.Clone()}
		if value.Kind() == '{' && len(rest) < maxValues {
			inner = append(inner, jsonWritings(value)...)
		}
		if text, err := jsontext.AppendUnquote(nil, value); err != nil || string(text) != signature {
			rest = append(rest, f)
		}
		return nil
	})
	if err != nil {
		return
	}
	around := bytes.Join([][]byte{document[:start], objectOf(rest), document[start+len(object):]}, nil)
	for _, text := range append(jsonWritings(objectOf(rest)), jsonWritings(around)...) {
		v.add(text, false, unsigned)
	}
	for _, text := range inner[:min(len(inner), maxValues)] {
		v.add(text, false, deviation{"object_signed", "an object of the request, such as a context, was signed instead of the " + p.subject, p.signRight()})
	}
}

// docField is a text or number of a document.
type docField struct {
	name, text string
	value      jsontext.Value // as JSON has it
	object     int            // where its object begins
}

// maxFields is how many fields of a document are looked at.
const maxFields = 256

// fieldsOf returns the first texts and numbers of a JSON text, or the fields of a form or
// query.
func fieldsOf(document []byte) (fields []docField) {
	if text := bytes.TrimSpace(document); len(text) == 0 || text[0] != '{' && text[0] != '[' {
		values, _ := url.ParseQuery(string(text))
		for _, name := range slices.Sorted(maps.Keys(values)) {
			fields = append(fields, docField{name, values.Get(name), claimjson.Quote(values.Get(name)), 0})
		}
		return fields
	}
	d := jsontext.NewDecoder(bytes.NewReader(document))
	var starts []int
	var name string
	for {
		token, err := d.ReadToken()
		if err != nil || len(fields) == maxFields {
			return fields // at the end, or where it is not JSON
		}
		in, n := d.StackIndex(d.StackDepth())
		switch kind := token.Kind(); kind {
		case '{', '[':
			starts = append(starts, int(d.InputOffset())-1)
		case '}', ']':
			starts = starts[:len(starts)-1]
		case '"', '0':
			if in == '{' && n%2 == 1 {
				name = token.String()
			} else if in == '{' {
				f := docField{name, token.String(), jsontext.Value(token.String()), starts[len(starts)-1]}
				if kind == '"' {
					f.value = claimjson.Quote(f.text)
				}
				fields = append(fields, f)
			}
		}
	}
}

// innermost returns the JSON text that is a value of a document, plain or in base64, if it
// has the signature, else the document.
func innermost(document []byte, signature string) []byte {
	for _, f := range fieldsOf(document) {
		for _, text := range append([]string{f.text}, fromBase64(f.text)...) {
			if strings.HasPrefix(text, "{") && strings.Contains(text, signature) {
				return []byte(text)
			}
		}
	}
	return document
}

func objectOf(fields []docField) []byte {
	var texts []string
	for _, f := range fields {
		texts = append(texts, string(claimjson.Quote(f.name))+":"+string(f.value))
	}
	return []byte("{" + strings.Join(texts, ",") + "}")
}

// jsonWritings returns a JSON text as common encoders write it: compact, with
// Python's spaces, in ASCII alone, and with sorted names.
func jsonWritings(document []byte) (texts []string) {
	compact := jsontext.Value(bytes.Clone(document))
	if compact.Compact() != nil {
		return nil
	}
	sorted := compact.Clone()
	_ = sorted.Canonicalize() // else it is as it was
	for _, text := range []jsontext.Value{compact, claimjson.AppendASCII(nil, compact), sorted} {
		spaced := text.Clone()
		_ = spaced.Format(jsontext.Multiline(false), jsontext.SpaceAfterColon(true), jsontext.SpaceAfterComma(true), jsontext.PreserveRawStrings(true))
		texts = append(texts, string(text), string(spaced))
	}
	return texts
}
