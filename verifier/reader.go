package verifier

import (
	"errors"
	"fmt"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// Reader finds the fields of a claim in a request. It is immutable and safe
// for concurrent use.
type Reader struct {
	places []Place

	json       *claimjson.Paths
	jsonFields []Field // by target

	form, query           *claimform.Names
	formNames, queryNames []formName

	// attributes finds the fields that stand within the attributes, for
	// attributes that travel as a JSON text in a form or a query.
	attributes       *claimjson.Paths
	attributesFields []Field
	attributesSign   bool // one of them carries the proof
}

// maxNames is how many names are read from a query, and maxFormNames from a
// form, where a pointer may stand for more than one.
const (
	maxNames     = 64
	maxFormNames = 2 * maxNames
)

// formName is a name in forms and the fields that it stands for: more than one
// where, say, the e-mail address is the user id as well.
type formName struct {
	name   string
	fields []Field
	// nested says that the name is the whole pointer in brackets: parsers that
	// build objects from forms (PHP, Rack, qs) put the field where the pointer
	// points to. It is never a field, always a variant of one.
	nested bool
}

// NewReader compiles places. The pointers of the claim's fields start from the
// object that at points to, the others from the document's root, but for the
// widget's where widgetAt is set.
func NewReader(places []Place, at string, widgetAt bool) (*Reader, error) {
	r := &Reader{places: places}
	if at != "" {
		if err := CheckPointer(at); err != nil {
			return nil, fmt.Errorf("at: %w", err)
		}
	}
	var targets []claimjson.Target
	for _, p := range places {
		switch p.Location {
		case Body:
			if err := CheckPointer(p.Name); err != nil {
				return nil, fmt.Errorf("%s: %w", p.Field, err)
			}
			pointer := at + p.Name
			if p.Field > Widget || p.Field == Widget && !widgetAt {
				pointer = p.Name
			}
			targets = append(targets, claimjson.Target{Pointer: pointer, Cut: p.Field.Proves()})
			r.jsonFields = append(r.jsonFields, p.Field)
			r.formNames = addName(r.formNames, lastToken(p.Name), p.Field, false)
			if tokens := strings.Split(pointer[1:], "/"); (p.Field.Proves() || p.Field.names()) && len(tokens) > 1 {
				r.formNames = addName(r.formNames, bracketed(tokens), p.Field, true)
			}
		case Query:
			r.queryNames = addName(r.queryNames, p.Name, p.Field, false)
		}
	}
	if err := scalarsAbove(places); err != nil {
		return nil, err
	}
	var err error
	if len(targets) > 0 {
		if r.json, err = claimjson.Compile(targets, nil); err != nil {
			return nil, err
		}
		if len(r.formNames) > maxFormNames {
			return nil, fmt.Errorf("at most %d names can be read from a form, not %d", maxFormNames, len(r.formNames))
		}
		r.form = compileNames(r.formNames)
	}
	if len(r.queryNames) > maxNames {
		return nil, fmt.Errorf("at most %d names can be read from a query, not %d", maxNames, len(r.queryNames))
	}
	if len(r.queryNames) > 0 {
		r.query = compileNames(r.queryNames)
	}
	return r, r.compileAttributes()
}

// compileAttributes prepares for attributes that are a text of their own.
func (r *Reader) compileAttributes() (err error) {
	targets := []claimjson.Target{}
	for _, p := range r.places {
		if name, ok := belowAttributes(r.places, p); ok {
			targets = append(targets, claimjson.Target{Pointer: name})
			r.attributesFields = append(r.attributesFields, p.Field)
			r.attributesSign = r.attributesSign || p.Field.Proves()
		}
	}
	r.attributes, err = claimjson.Compile(targets, nil)
	return err
}

// belowAttributes returns the pointer of a place within the attributes' object.
func belowAttributes(places []Place, p Place) (string, bool) {
	for _, a := range places {
		if a.Field == Attributes && a.Location == Body && p.Location == Body && p.Field < Widget {
			if rest, ok := strings.CutPrefix(p.Name, a.Name+"/"); ok {
				return "/" + rest, true
			}
		}
	}
	return "", false
}

// MembersOwned returns the names within the attributes' object that are fields
// of their own, and so no attributes.
func MembersOwned(places []Place) []string {
	var names []string
	for _, p := range places {
		if pointer, ok := belowAttributes(places, p); ok && strings.Count(pointer, "/") == 1 {
			names = append(names, lastToken(pointer))
		}
	}
	return names
}

// bracketed writes the tokens of a pointer as forms write a nested name:
// user[id].
func bracketed(tokens []string) string {
	name := unescapePointer.Replace(tokens[0])
	for _, token := range tokens[1:] {
		name += "[" + unescapePointer.Replace(token) + "]"
	}
	return name
}

func addName(names []formName, name string, f Field, nested bool) []formName {
	for i := range names {
		if names[i].name == name {
			names[i].fields = append(names[i].fields, f)
			return names
		}
	}
	return append(names, formName{name, []Field{f}, nested})
}

func compileNames(names []formName) *claimform.Names {
	list := make([]string, len(names))
	for i := range names {
		list[i] = names[i].name
	}
	return claimform.Compile(list)
}

// CheckPointer checks the syntax of RFC 6901. The empty pointer, which is the
// whole document, cannot be a member.
func CheckPointer(pointer string) error {
	if !strings.HasPrefix(pointer, "/") {
		return fmt.Errorf("'%s' is no JSON pointer: it begins with a slash, as in '/%s'", pointer, pointer)
	}
	for _, token := range strings.Split(pointer[1:], "/") {
		if token == "" {
			return fmt.Errorf("'%s' names a member without a name", pointer)
		}
		for i := 0; i < len(token); i++ {
			if token[i] == '~' && (i+1 == len(token) || token[i+1] != '0' && token[i+1] != '1') {
				return fmt.Errorf("'%s' has a bare ~: write ~0 for ~ and ~1 for / (RFC 6901)", pointer)
			}
		}
	}
	return nil
}

// scalarsAbove refuses a pointer that leads through a field that is no object:
// the two could never both be found.
func scalarsAbove(places []Place) error {
	for _, p := range places {
		for _, q := range places {
			if p.Location == Body && q.Location == Body && p.Field != Attributes &&
				(p.Field >= Widget) == (q.Field >= Widget) && strings.HasPrefix(q.Name, p.Name+"/") {
				return fmt.Errorf("%s at '%s' lies within %s at '%s', which is a text", q.Field, q.Name, p.Field, p.Name)
			}
		}
	}
	return nil
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// lastToken returns the name of the member that a pointer points to.
func lastToken(pointer string) string {
	return unescapePointer.Replace(pointer[strings.LastIndexByte(pointer, '/')+1:])
}

// In returns the places in one location. Headers and cookies are for the caller to read.
func (r *Reader) In(l Location) []Place {
	var found []Place
	for _, p := range r.places {
		if p.Location == l {
			found = append(found, p)
		}
	}
	return found
}

// JSON reads a JSON body.
func (r *Reader) JSON(body []byte, to *Reading) {
	if r.json == nil {
		return
	}
	if err := claimjson.Scan(body, r.json, &to.found); err != nil {
		to.fail(jsonError(err))
		return
	}
	for i := range to.found.Values {
		to.member(r.jsonFields[i], body, &to.found.Values[i])
	}
	to.BodyCuts = append(to.BodyCuts, to.found.Cuts...)
	if to.found.More {
		to.ambiguous = true
		to.BodyCuts = append(to.BodyCuts[:0], Span{End: len(body)})
	}
}

// jsonError names the fault for the integrator.
func jsonError(err error) error {
	detail := "is not valid JSON"
	switch {
	case errors.Is(err, claimjson.ErrDepth):
		detail = "is nested too deeply"
	case errors.Is(err, claimjson.ErrUTF8):
		detail = "is not valid UTF-8"
	}
	return &BodyError{detail}
}

// Form reads an application/x-www-form-urlencoded body.
func (r *Reader) Form(body []byte, to *Reading) { r.urlencoded(body, true, to) }

func (r *Reader) urlencoded(body []byte, strict bool, to *Reading) {
	if r.form == nil {
		return
	}
	err := claimform.URLEncoded(body, r.form, strict, &to.bodyHits)
	to.BodyCuts = r.hits(r.formNames, &to.bodyHits, err, body, to.BodyCuts, to)
}

// Multipart reads a multipart/form-data body with that boundary.
func (r *Reader) Multipart(body []byte, boundary string, to *Reading) {
	if r.form == nil {
		return
	}
	err := claimform.Multipart(body, boundary, r.form, &to.bodyHits)
	to.BodyCuts = r.hits(r.formNames, &to.bodyHits, err, body, to.BodyCuts, to)
}

// JSONOrForm reads a JSON text that is declared to be a form. Backends differ
// in which of the two they see, so what a form's parser finds must be what the
// JSON says; and of the proof it must find nothing, since only the JSON's
// members could be cut.
func (r *Reader) JSONOrForm(body []byte, to *Reading) {
	r.JSON(body, to)
	var form Reading
	r.urlencoded(body, false, &form)
	if form.err != nil {
		to.fail(form.err)
	}
	for f := range form.Claim {
		differs := form.variant[f] || string(form.Claim[f]) != string(to.Claim[f])
		if form.seen[f] && (differs || Field(f).Proves() && len(form.Claim[f]) > 0) {
			to.again(Field(f))
		}
		if form.twice[f] {
			to.again(Field(f))
		}
	}
}

// ValidBoundary reports whether a multipart boundary is one that every parser
// takes as it is (RFC 2046 section 5.1.1).
func ValidBoundary(boundary string) bool { return claimform.ValidBoundary(boundary) }

// Query reads a URL's raw query.
func (r *Reader) Query(raw []byte, to *Reading) {
	if r.query == nil || len(raw) == 0 {
		return
	}
	err := claimform.URLEncoded(raw, r.query, false, &to.queryHits)
	to.QueryCuts = r.hits(r.queryNames, &to.queryHits, err, raw, to.QueryCuts, to)
}

// hits takes what was found in a form, and returns the spans to cut.
func (r *Reader) hits(names []formName, hits *claimform.Hits, err error, text []byte, cuts []Span, to *Reading) []Span {
	if err != nil {
		to.fail(formError(names, err))
		return cuts
	}
	var seen [maxFormNames]bool // by name
	for i := range hits.List {
		hit := &hits.List[i]
		twice := seen[hit.Name]
		seen[hit.Name] = true
		cut := false
		for _, f := range names[hit.Name].fields {
			to.seen[f] = true
			// What stands in another spelling of the attributes is not known.
			cut = cut || f.Proves() || f == Attributes && r.attributesSign && (twice || hit.Variant)
			switch {
			case twice:
				to.again(f)
			case hit.Variant || names[hit.Name].nested:
				to.variant[f] = true
			case f == Attributes && len(hit.Value) > 0:
				cut = r.attributesText(hit.Value, to) || cut
			default:
				to.add(f, hit.Value)
			}
		}
		if cut {
			cuts = append(cuts, Span(hit.Span))
		}
	}
	if hits.More {
		// Which of the names the rest holds is not known.
		for i := range names {
			for _, f := range names[i].fields {
				to.seen[f] = true
				to.again(f)
			}
		}
		return append(cuts[:0], Span{End: len(text)})
	}
	return cuts
}

// attributesText reads attributes that are sent as the text of a JSON object,
// and reports whether a piece of the proof stands within.
func (r *Reader) attributesText(text []byte, to *Reading) (proof bool) {
	if err := claimjson.Scan(text, r.attributes, &to.attributesFound); err != nil || !isObject(text) {
		to.fail(malformed(Attributes, "is not a JSON object"))
		return false
	}
	to.add(Attributes, text)
	for i := range to.attributesFound.Values {
		v, f := &to.attributesFound.Values[i], r.attributesFields[i]
		to.member(f, text, v)
		proof = proof || f.Proves() && (v.Kind != claimjson.None || v.Variant)
	}
	return proof
}

func isObject(text []byte) bool {
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c == '{'
		}
	}
	return false
}

func formError(names []formName, err error) error {
	if fe, ok := errors.AsType[*claimform.FieldError](err); ok {
		f := names[fe.Name].fields[0]
		switch {
		case errors.Is(err, claimform.ErrUTF8):
			return malformed(f, "is not valid UTF-8")
		case errors.Is(err, claimform.ErrEscape):
			return malformed(f, "has a bad percent escape")
		case errors.Is(err, claimform.ErrLong):
			return tooLong(f)
		default:
			return malformed(f, "is not sent as a plain form field")
		}
	}
	switch {
	case errors.Is(err, claimform.ErrUTF8):
		return &BodyError{"is not valid UTF-8"}
	case errors.Is(err, claimform.ErrEscape):
		return &BodyError{"has a bad percent escape"}
	default:
		return &BodyError{"is not a valid form"}
	}
}
