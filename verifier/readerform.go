package verifier

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// maxFormNames is how many names are read from a form or a query.
const maxFormNames = 256

// formName is a name in forms and the places that it stands for: more than one
// where, say, the e-mail address is the user id as well.
type formName struct {
	claimform.Name
	places []Place
	text   *text // nil for a name that is no JSON text
}

// document reports whether the name is that of a document in a form.
func (n *formName) document() bool { return n.Way && len(n.Path) == 1 && n.Path[0] == operations }

// notForm is what is wrong with a form that has no fault of its own.
const notForm = "is not a valid form"

// operations is the form field of GraphQL clients for the document that others
// send as the body.
const operations = "operations"

// formNames are the names of a form while they are collected.
type formNames []formName

func (n *formNames) add(name claimform.Name, p Place) *formName {
	for i := range *n {
		if have := &(*n)[i]; have.Way == name.Way && have.Text == name.Text && slices.Equal(have.Path, name.Path) {
			have.places = append(have.places, p)
			return have
		}
	}
	*n = append(*n, formName{name, []Place{p}, nil})
	return &(*n)[len(*n)-1]
}

// addField adds a field's own name, or that of the text that holds it.
func (n *formNames) addField(p Place, t *text) {
	within := t != nil && t.within
	n.add(claimform.Name{Path: []string{p.Key()}, Way: within, Text: within}, p).text = t
}

// nest adds what forms make of a path of several names. Parsers that build objects from
// names (PHP, Rack, qs, Spring) put a field into the place that a pointer points to: that
// is never a field, always a variant of one. So is a text on the way in which it stands,
// but for the text t, which is read.
func (n *formNames) nest(path []string, p Place, t *text) {
	if len(path) > 1 {
		n.add(claimform.Name{Path: path}, p)
	}
	for i := 1; i < len(path); i++ {
		if i > 1 || t == nil || path[0] != t.Key() || !t.reads(p.Field) {
			n.add(claimform.Name{Path: path[:i], Way: true}, p)
		}
	}
}

// formReader reads forms of one kind.
type formReader struct {
	list  []formName
	names *claimform.Names // nil: nothing is read from them
	ways  bool             // a JSON text may hold a field
}

func (n formNames) compile(of string) (formReader, error) {
	if len(n) == 0 {
		return formReader{}, nil
	}
	if len(n) > maxFormNames {
		return formReader{}, fmt.Errorf("at most %d names can be read from a %s, not %d", maxFormNames, of, len(n))
	}
	list := make([]claimform.Name, len(n))
	for i := range n {
		list[i] = n[i].Name
	}
	ways := slices.ContainsFunc(list, func(n claimform.Name) bool { return n.Way })
	return formReader{n, claimform.Compile(list), ways}, nil
}

// Form reads an application/x-www-form-urlencoded body. One that is not a form in
// UTF-8 is treated as [Verifier.JSON] treats what is not JSON. It finds nothing in a JSON
// body: where a form's body begins with "{", call [Verifier.JSONOrForm].
func (r *reader) Form(body []byte, to *Reading) { r.form.urlencoded(r, body, true, to) }

func (f *formReader) urlencoded(r *reader, body []byte, strict bool, to *Reading) {
	to.begin(r)
	if f.names == nil {
		return
	}
	switch err := claimform.URLEncoded(body, f.names, strict, &to.bodyMatches); {
	case errors.Is(err, claimform.ErrCharset):
		to.Fail(&Error{Err: ErrMalformed, Part: atBody, Detail: formDetail(err, "")})
		return
	case err != nil:
		r.unreadable(formDetail(err, notForm), body, to)
		return
	}
	to.BodyCuts = f.take(r, &to.bodyMatches, body, len(body), to.BodyCuts, to)
}

// Query reads a URL's raw query, such as [net/url.URL] has it in RawQuery: without the
// question mark, which would be part of the first name.
func (r *reader) Query(raw []byte, to *Reading) {
	to.begin(r)
	if r.query.names == nil || len(raw) == 0 {
		return
	}
	err := claimform.URLEncoded(raw, r.query.names, false, &to.queryMatches)
	if err == nil && claimform.Overlong(raw) {
		err = claimform.ErrUTF8
	}
	if err != nil {
		if name, yes := r.watched.Stand(raw); yes {
			to.Fail(&Error{Err: ErrMalformed, Part: atQuery, Detail: formDetail(err, notForm), Name: name})
		}
		return
	}
	to.QueryCuts = r.query.take(r, &to.queryMatches, raw, len(raw), to.QueryCuts, to)
}

// Multipart reads a multipart body as it arrives.
type Multipart struct {
	reader *reader
	form   *claimform.Multipart
	to     *Reading
	size   int
	closed bool
	work   names.Work // what is left for headers
}

// Multipart begins to read a multipart/form-data body (RFC 7578) with that
// boundary. Its fields, files not counted, may have maxFields bytes. Write the body
// to what it returns, and close that before you verify the reading.
func (r *reader) Multipart(boundary string, maxFields int64, to *Reading) *Multipart {
	to.begin(r)
	m := &Multipart{reader: r, to: to, work: names.FirstWork}
	to.misused, to.open = to.misused || to.open != nil, m
	if r.form.names != nil {
		m.form = claimform.NewMultipart(boundary, r.form.names, m.inHeader, maxFields, &to.bodyMatches)
	}
	return m
}

func (m *Multipart) inHeader(header []byte) (name string, stands bool) {
	return m.reader.watched.StandInHeader(header, &m.work)
}

// Write implements [io.Writer]. Before Close it fails with [ErrTooLarge] alone.
func (m *Multipart) Write(p []byte) (int, error) {
	if m.closed || m.to.open != m { // for another request, or beside another one
		m.to.misused = true
		return 0, errReading
	}
	if m.form == nil {
		return len(p), nil
	}
	m.size += len(p)
	m.work.Add(len(p))
	n, err := m.form.Write(p)
	if err != nil {
		err = ErrTooLarge
	}
	return n, err
}

// Close ends the body. In one that does not read in one way, such as one that was cut
// short, nothing was found, but a more lenient parser could find a claim: it is
// malformed ([ErrMalformed]).
func (m *Multipart) Close() {
	m.CloseSearching(func(io.Writer) bool { return false })
}

// CloseSearching is [Multipart.Close] for whoever has kept the body, and can write it
// once more: see [Verifier.Search]. Where the name of no field can stand in a body that
// does not read in one way, there is no claim.
func (m *Multipart) CloseSearching(write func(io.Writer) bool) {
	if m.closed {
		return
	}
	m.closed = true
	if m.to.open != m {
		m.to.misused = true
		return
	}
	m.to.open = nil
	if !m.close() {
		if name, stands := m.reader.Search(true, write); stands {
			m.to.Fail(&Error{Err: ErrMalformed, Part: atBody, Detail: "is not a multipart form that all parsers read alike", Name: name})
		}
	}
}

// close reports whether the body reads in one way.
func (m *Multipart) close() (oneWay bool) {
	if m.form == nil {
		return true
	}
	if err := m.form.Close(); err != nil {
		header, found := errors.AsType[*claimform.HeaderError](err)
		switch {
		case found:
			m.to.Fail(&Error{Err: ErrMalformed, Part: atBody, Detail: "has a part whose header parsers read differently", Name: header.Name})
		case errors.Is(err, claimform.ErrCharset):
			m.to.Fail(&Error{Err: ErrMalformed, Part: atBody, Detail: formDetail(err, "")})
		case errors.Is(err, claimform.ErrFields):
			m.to.Fail(ErrTooLarge)
		default:
			return false
		}
		return true
	}
	m.to.BodyCuts = m.reader.form.take(m.reader, &m.to.bodyMatches, nil, m.size, m.to.BodyCuts, m.to)
	return true
}

// take takes what was found in a form, and returns the spans to cut. raw is a form whose
// values are escaped.
func (f *formReader) take(r *reader, matches *claimform.Matches, raw []byte, size int, cuts []Span, to *Reading) []Span {
	var seen [maxFormNames]bool // by name
	var texts, documents []*claimform.Match
	for i := range matches.List {
		match := &matches.List[i]
		name := &f.list[match.Name]
		switch {
		case name.Text:
			texts = append(texts, match)
			continue
		case name.document() && r.onWay(match):
			documents = append(documents, match)
			continue
		}
		duplicate := seen[match.Name]
		seen[match.Name] = true
		if name.text != nil && match.Err == nil && !duplicate && !match.Variant && len(match.Value) > 0 {
			cuts = f.takeText(r, name.text, match, true, raw, cuts, to)
			continue
		}
		cut := false
		for _, p := range name.places {
			cut = f.takeMatch(r, match, p, duplicate, to) || cut
		}
		cuts = appendCut(cuts, match, cut)
	}
	for len(texts) > 0 {
		name := texts[0].Name
		var same, others []*claimform.Match
		for _, match := range texts {
			if match.Name == name {
				same = append(same, match)
			} else {
				others = append(others, match)
			}
		}
		cuts = f.takeTexts(r, f.list[name].text, same, raw, cuts, to)
		texts = others
	}
	for _, match := range documents {
		cuts = f.takeDocument(r, match, len(documents) == 1, cuts, to)
	}
	slices.SortFunc(cuts, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	for i := range f.list {
		if !matches.More(i) {
			continue
		}
		// What the rest holds is not known.
		for _, p := range f.list[i].places {
			found := to.at(&p)
			if found.seen, found.duplicate = true, true; r.cuts(p.Field) {
				cuts = append(cuts[:0], Span{End: size})
			}
		}
	}
	return withoutLastAmpersand(cuts, raw)
}

// withoutLastAmpersand has cuts that reach the end of an escaped form take along the '&' that
// separated them from what is left.
func withoutLastAmpersand(cuts []Span, raw []byte) []Span {
	i := len(cuts) - 1
	if i < 0 || cuts[i].End != len(raw) {
		return cuts
	}
	for i > 0 && cuts[i-1].End == cuts[i].Start {
		i--
	}
	if start := cuts[i].Start; start > 0 && raw[start-1] == '&' {
		cuts[i].Start--
	}
	return cuts
}

// appendCut appends what to cut of a match. One that counts for two names has the
// same span twice.
func appendCut(cuts []Span, match *claimform.Match, cut bool) []Span {
	if span := match.Span; cut && (len(cuts) == 0 || cuts[len(cuts)-1] != span) {
		cuts = append(cuts, span)
	}
	return cuts
}

// takeDocument takes the JSON document that a GraphQL client sends in the form field
// operations beside its files (GraphQL multipart request specification). Where
// it is the only thing that is there of a claim it is read as a body of its own;
// else whatever is within is a variant of what is beside.
func (f *formReader) takeDocument(r *reader, match *claimform.Match, only bool, cuts []Span, to *Reading) []Span {
	if !only || match.Err != nil || match.Variant || to.hasClaim() || claimjson.Scan(match.Value, r.json, &to.within) != nil {
		for _, p := range f.list[match.Name].places {
			found := to.at(&p)
			found.seen, found.variant, found.way = true, true, true
		}
		return appendCut(cuts, match, true)
	}
	session := to.Has(SessionField)
	for i := range to.within.Values {
		to.member(&r.jsonPlaces[i], match.Value, &to.within.Values[i])
	}
	return appendCut(cuts, match, to.hasClaim() || !session && to.Has(SessionField))
}

// onWay reports whether a text on the way holds JSON in which a watched name
// stands. Of a text in another encoding it cannot be told.
func (r *reader) onWay(match *claimform.Match) bool {
	return match.Err != nil || claimjson.HoldsJSON(match.Value) && r.stands(match.Value)
}

// takeMatch takes a match for one of its places, and reports whether it is to be cut.
func (f *formReader) takeMatch(r *reader, match *claimform.Match, p Place, duplicate bool, to *Reading) (cut bool) {
	name := &f.list[match.Name]
	if name.Way {
		if !r.onWay(match) {
			return false
		}
		found := to.at(&p)
		found.seen, found.variant, found.way = true, true, true
		return r.cuts(p.Field)
	}
	found := to.at(&p)
	found.seen = true
	switch {
	case match.Err != nil:
		found.fail(formError(p.Field, match.Err))
	case duplicate:
		found.duplicate = true
	case match.Variant || len(name.Path) > 1:
		found.variant = true
	default:
		found.add(p.Field, match.Value)
		return r.cuts(p.Field)
	}
	return r.cuts(p.Field) || name.text != nil && name.text.strips
}

func isObject(text []byte) bool {
	for _, c := range text {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c == '{'
		}
	}
	return false
}

// formError names the fault of a field.
func formError(f Field, err error) *Error {
	if errors.Is(err, claimform.ErrLong) {
		return tooLong(f)
	}
	return malformed(f, formDetail(err, "is not sent as a plain form field"))
}

// formDetail names the fault of a form or field, which is another one.
func formDetail(err error, other string) string {
	switch {
	case errors.Is(err, claimform.ErrUTF8):
		return "is not valid UTF-8"
	case errors.Is(err, claimform.ErrEscape):
		return "has a bad percent escape"
	case errors.Is(err, claimform.ErrCharset):
		return "has a field _charset_ that names another charset than UTF-8"
	}
	return other
}
