package verifier

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// text is a JSON text that holds fields: of a form or a query, in a header or a cookie.
type text struct {
	Place       // where it is; the field means nothing
	within bool // it holds fields by Place.Within, and not attributes alone
	base64 bool
	whole  []Place // attributes that are the object itself
	places []Place // by target of paths
	paths  *claimjson.Paths
	names  *names.Set // those that are watched
	strips bool       // something of [Dialect.Strip] is there
}

// compileTexts finds the texts that hold fields.
func (r *reader) compileTexts() error {
	for _, p := range r.places {
		if p.Within == "" && (p.Field != Attributes || p.Location == atHeader || p.Location == atCookie) {
			continue
		}
		t := r.textAt(&p)
		if t == nil {
			t = &text{Place: p, base64: p.Base64}
			r.texts = append(r.texts, t)
		}
		if t.base64 != p.Base64 {
			return fmt.Errorf("%s: '%s' is read as JSON in one place and as base64 in another", p.Field, p.Name)
		}
		t.within = t.within || p.Within != ""
	}
	for _, t := range r.texts {
		if err := r.compileText(t); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) compileText(t *text) (err error) {
	var (
		targets []claimjson.Target
		watched []string
	)
	for _, p := range r.places {
		pointer := p.Within
		switch {
		case p.Within != "" && t.sameText(&p):
		case p.Field == Attributes && t.sameText(&p):
			t.whole = append(t.whole, p)
			t.strips = t.strips || r.strip[Attributes]
			continue
		default:
			var ok bool
			if pointer, ok = r.belowAttributes(t, &p); !ok {
				continue
			}
		}
		targets = append(targets, claimjson.Target{Pointer: pointer, Cut: r.cuts(p.Field)})
		t.places = append(t.places, p)
		t.strips = t.strips || r.strip[p.Field]
		if r.watches(p.Field) {
			watched = append(watched, lastToken(pointer))
		}
	}
	t.names = names.Compile(watched)
	t.paths, err = claimjson.Compile(targets, func(inside []byte, begins bool) bool { return begins && t.stands(inside) })
	return err
}

// belowAttributes returns the pointer of a place that is within the attributes of a text
// in JSON, such as an e-mail address, and in the text, too. Of a proof there it is only
// known that it is there.
func (r *reader) belowAttributes(t *text, p *Place) (pointer string, ok bool) {
	if t.within || t.Location == atHeader || p.Field.Proves() || p.Field >= Widget {
		return "", false
	}
	for _, a := range r.places {
		if a.Field == Attributes && a.Within == "" && a.inBody() && a.Key() == t.Key() {
			if pointer, ok = p.below(&a); ok {
				return pointer, true
			}
		}
	}
	return "", false
}

// textAt returns the text that holds a place, nil for none.
func (r *reader) textAt(p *Place) *text {
	if p.Within != "" || p.Field == Attributes {
		for _, t := range r.texts {
			if t.sameText(p) {
				return t
			}
		}
	}
	return nil
}

// sameText reports whether a place is in the text, or is the text.
func (t *text) sameText(p *Place) bool {
	if t.Location == atHeader && p.Location == atHeader {
		return strings.EqualFold(t.Name, p.Name)
	}
	return t.sameName(p)
}

// reads reports whether a field is read within the text.
func (t *text) reads(f Field) bool {
	return slices.ContainsFunc(t.places, func(p Place) bool { return p.Field == f })
}

// stands reports whether a watched name can stand in the text, however it is written.
func (t *text) stands(value []byte) bool { _, yes := t.standing(value); return yes }

// standsInString is stands for the inside of a JSON string.
func (t *text) standsInString(inside []byte) bool {
	value, err := claimjson.Unquote(nil, slices.Concat([]byte{'"'}, inside, []byte{'"'}))
	return err != nil || t.stands(value)
}

func (t *text) standing(value []byte) (name string, yes bool) {
	if name, yes = t.names.Stand(value); yes || !t.base64 {
		return name, yes
	}
	for decoded := range lenientBase64(value) {
		if name, yes = t.names.Stand(decoded); yes {
			return name, true
		}
	}
	return "", false
}

// read takes the fields within the text. It returns what to cut there, of base64 in what
// it decodes to. Where all of the text is to be cut it is not ok.
func (t *text) read(r *reader, value []byte, to *Reading) (json []byte, cuts []Span, ok bool) {
	json, detail := value, ""
	if t.base64 {
		if json, ok = to.decodeBase64(value); !ok {
			detail = "is not in base64 that all decoders read alike"
		}
	}
	if detail == "" {
		if err := claimjson.Scan(json, t.paths, &to.within); err != nil {
			detail = jsonDetail(err)
		}
	}
	if detail != "" {
		return nil, nil, t.unreadable(detail, value, to)
	}
	object := isObject(json)
	for _, p := range t.whole {
		if !object {
			to.MarkMalformed(p, "is not a JSON object")
			continue
		}
		found := to.at(&p)
		found.seen = true
		found.add(Attributes, json)
	}
	for i := range to.within.Values {
		to.member(&t.places[i], json, &to.within.Values[i])
	}
	if to.within.More {
		t.doubt(r, true, false, to)
	}
	return json, to.within.Cuts, !to.within.More && !(object && len(t.whole) > 0 && r.strip[Attributes])
}

// unreadable takes note of a text that does not read in one way, and reports whether it
// may stay with an unverified claim.
func (t *text) unreadable(detail string, value []byte, to *Reading) (stays bool) {
	for _, p := range t.whole {
		to.MarkMalformed(p, "is not a JSON object")
	}
	name, stands := t.standing(value)
	if stands {
		to.Fail(&Error{Err: ErrMalformed, Part: t.part(), Name: name, Detail: detail})
	}
	return !stands && !t.strips
}

func (t *text) part() string {
	switch t.Location {
	case atQuery:
		return "query parameter " + t.Name
	case atHeader, atCookie:
		return t.Location + " " + t.Name
	}
	return "form field " + t.Key()
}

// fields are all that may be in the text, watched fields only if a name of one can stand
// there.
func (t *text) fields(r *reader, stands bool) iter.Seq[Place] {
	return func(yield func(Place) bool) {
		for _, list := range [][]Place{t.places, t.whole} {
			for _, p := range list {
				if (stands || !r.watches(p.Field)) && !yield(p) {
					return
				}
			}
		}
	}
}

// doubt takes note of all that may be in a text that is there more than once, or under a
// variant of its name. It calls no function of the caller's, so that a reading of its own
// may stay on the stack.
func (t *text) doubt(r *reader, stands, variant bool, to *Reading) {
	for p := range t.fields(r, stands) {
		found := to.at(&p)
		found.seen = true
		found.variant = found.variant || variant
		found.duplicate = found.duplicate || !variant
	}
}

// takeTexts takes all texts of one name. Some parsers join them with commas, over which
// decoders of base64 pass.
func (f *formReader) takeTexts(r *reader, t *text, matches []*claimform.Match, raw []byte, cuts []Span, to *Reading) []Span {
	across := false
	if t.base64 && len(matches) > 1 {
		values := make([][]byte, len(matches))
		for i, match := range matches {
			values[i] = match.Value
		}
		across = t.stands(bytes.Join(values, []byte(",")))
	}
	for _, match := range matches {
		if cuts = f.takeText(r, t, match, len(matches) == 1, raw, cuts, to); across {
			t.doubt(r, true, match.Variant, to)
			cuts = appendCut(cuts, match, true)
		}
	}
	return cuts
}

// takeText takes a text of a form or a query, and returns the spans to cut with what is to
// be cut of it. raw is the form as it was sent, nil where values are not escaped in it.
func (f *formReader) takeText(r *reader, t *text, match *claimform.Match, alone bool, raw []byte, cuts []Span, to *Reading) []Span {
	if match.Err != nil {
		unknown := len(match.Value) == 0 && match.At.Start < match.At.End
		if !unknown && t.unreadable("is not sent as a plain field", match.Value, to) {
			return cuts
		}
		if unknown {
			name, _ := t.names.Any()
			to.Fail(&Error{Err: ErrMalformed, Part: t.part(), Name: name, Detail: "is not sent as a plain field"})
		}
		return appendCut(cuts, match, true)
	}
	if !alone || match.Variant {
		stands := t.stands(match.Value)
		t.doubt(r, stands, alone, to)
		return appendCut(cuts, match, stands || t.strips)
	}
	json, within, ok := t.read(r, match.Value, to)
	switch {
	case !ok:
		return appendCut(cuts, match, true)
	case len(within) == 0:
	case t.base64 && t.Location == atQuery:
		to.recoded = append(to.recoded, recoded{match.At, escapeBase64(recodeBase64(match.Value, json, within))})
	case t.base64:
		return appendCut(cuts, match, true)
	case raw == nil:
		for _, s := range within {
			cuts = append(cuts, Span{match.At.Start + s.Start, match.At.Start + s.End})
		}
	default:
		return claimform.Decoded(cuts, raw, match, within)
	}
	return cuts
}

// InText reports whether a place in a header or a cookie is within a JSON text, or the
// attributes that such a text has beside its fields.
func (v *Verifier) InText(p Place) bool { return v.textAt(&p) != nil }

// Text reads the fields within the JSON text in a header or a cookie, of which p is one.
func (v *Verifier) Text(p Place, value []byte, to *Reading) {
	to.begin(&v.reader)
	v.textAt(&p).read(&v.reader, value, to)
}

// MarkText takes note of a header or a cookie in a form that backends read differently, if
// the name of a field can stand in this value of it, or if that is nil: it cannot be told. It
// reports whether the value may stay with an unverified claim.
func (v *Verifier) MarkText(p Place, value []byte, as func(*Reading, Place), to *Reading) (stays bool) {
	t := v.textAt(&p)
	stands := value == nil || t.stands(value)
	for p := range t.fields(&v.reader, stands) {
		to.at(&p).seen = true
		as(to, p)
	}
	return !stands && !t.strips
}

// MarkEscaped takes note of a cookie in base64 as it was sent, with percent escapes, if
// backends that pass over the percent signs alone may read a field in it. Behind the text the
// escapes are those of its padding.
func (v *Verifier) MarkEscaped(p Place, raw []byte, to *Reading) {
	t := v.textAt(&p)
	for bytes.HasSuffix(raw, []byte("%3D")) || bytes.HasSuffix(raw, []byte("%3d")) {
		raw = raw[:len(raw)-3]
	}
	if !t.base64 || bytes.IndexByte(raw, '%') < 0 {
		return
	}
	read := [][]byte{raw}
	if bytes.IndexByte(raw, '+') >= 0 { // to Rack a space, beside one that is escaped
		read = append(read, claimform.Unescape(raw))
	}
	for _, text := range read {
		for decoded := range lenientBase64(text) {
			if _, stands := t.names.Stand(decoded); stands && mayBeJSON(decoded) {
				for p := range t.fields(&v.reader, true) {
					to.at(&p).seen = true
					to.MarkMalformed(p, "is in base64 that has another text where its escapes are not decoded")
				}
				return
			}
		}
	}
}

// WithoutText returns the JSON text in a header or a cookie without what is cut of an
// unverified claim, or nothing for one that does not read in one way.
func (v *Verifier) WithoutText(p Place, value []byte) []byte {
	var to Reading
	t := v.textAt(&p)
	json, cuts, ok := t.read(&v.reader, value, &to)
	switch {
	case !ok:
		return nil
	case t.base64 && len(cuts) > 0:
		return recodeBase64(value, json, cuts)
	}
	return claimjson.Cut(nil, value, cuts)
}
