package verifier

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// reader finds the fields of a claim in a request.
type reader struct {
	places []Place
	strip  [numFields]bool
	// stripsBelow says that a field of strip lies within the attributes.
	stripsBelow bool
	watched     *names.Set

	json       *claimjson.Paths
	jsonPlaces []Place // by target

	form, query formReader

	// attributes finds the fields that stand within the attributes, for
	// attributes that travel as a JSON text in a form or a query.
	attributes       *claimjson.Paths
	attributesPlaces []Place
}

// compile makes it ready to read places. A field that the message signs is watched
// as a piece of the proof.
func (r *reader) compile(places []Place, at string, signed *message, strip []Field) error {
	r.places = places
	for _, f := range strip {
		r.strip[f] = true
	}
	if at != "" {
		if _, err := claimjson.Tokens(at); err != nil {
			return fmt.Errorf("at: %w", err)
		}
	}
	if err := cmp.Or(scalarsAbove(places), proofsApart(places)); err != nil {
		return err
	}
	watches := func(f Field) bool { return f.Proves() || f >= Widget || signed.Signs(f) }
	var (
		targets     []claimjson.Target
		form, query formNames
		watched     []string
	)
	for _, p := range places {
		if p.Rank < 0 || p.Rank >= maxRanks {
			return fmt.Errorf("%s: at most %d places stand in for each other", p.Field, maxRanks)
		}
		if err := p.Check(); err != nil {
			return fmt.Errorf("%s: %w", p.Field, err)
		}
		switch p.Location {
		case "", atBody:
			pointer := at + p.Name
			if p.Root {
				pointer = p.Name
			}
			targets = append(targets, claimjson.Target{Pointer: pointer, Cut: r.cuts(p.Field)})
			r.jsonPlaces = append(r.jsonPlaces, p)
			form.add(claimform.Name{Path: []string{lastToken(p.Name)}}, p)
			if !watches(p.Field) && !r.strip[p.Field] {
				continue
			}
			form.nest(pointer, p)
			if inQuery(places, p.Field) {
				query.nest(pointer, p)
			}
			if !watches(p.Field) {
				continue
			}
			watched = append(watched, lastToken(p.Name))
			if at != "" {
				form.add(claimform.Name{Path: []string{operations}, Way: true}, p)
			}
		case atQuery:
			query.add(claimform.Name{Path: []string{p.Name}}, p)
			if watches(p.Field) {
				watched = append(watched, p.Name)
			}
		}
	}
	r.watched = names.Compile(watched)
	var err error
	if len(targets) > 0 {
		if r.json, err = claimjson.Compile(targets, r.stands); err != nil {
			return err
		}
		if r.form, err = form.compile("form"); err != nil {
			return err
		}
	}
	if r.query, err = query.compile("query"); err != nil {
		return err
	}
	return r.compileAttributes()
}

// cuts reports whether what is found of the field goes with an unverified claim.
func (r *reader) cuts(f Field) bool { return f.Proves() || r.strip[f] }

func inQuery(places []Place, f Field) bool {
	for _, p := range places {
		if p.Field == f && p.Location == atQuery {
			return true
		}
	}
	return false
}

// stands reports whether a watched name can stand in a text, however it is written.
func (r *reader) stands(text []byte) bool { _, yes := r.watched.Stand(text); return yes }

// compileAttributes prepares for attributes that are a text of their own. Of a
// proof within it is only known that it is there.
func (r *reader) compileAttributes() (err error) {
	targets := []claimjson.Target{}
	for _, p := range r.places {
		if name, ok := belowAttributes(r.places, p); ok && !p.Field.Proves() {
			targets = append(targets, claimjson.Target{Pointer: name})
			r.attributesPlaces = append(r.attributesPlaces, p)
			r.stripsBelow = r.stripsBelow || r.strip[p.Field]
		}
	}
	r.attributes, err = claimjson.Compile(targets, never)
	return err
}

func never([]byte) bool { return false }

// belowAttributes returns the pointer of a place within the attributes' object.
func belowAttributes(places []Place, p Place) (string, bool) {
	for _, a := range places {
		if a.Field == Attributes && a.inBody() && p.inBody() && p.Field < Widget {
			if rest, ok := strings.CutPrefix(p.Name, a.Name+"/"); ok {
				return "/" + rest, true
			}
		}
	}
	return "", false
}

// membersOwned returns the names within the attributes' object that are fields
// of their own, and so no attributes.
func membersOwned(places []Place) []string {
	var names []string
	for _, p := range places {
		if pointer, ok := belowAttributes(places, p); ok && strings.Count(pointer, "/") == 1 {
			names = append(names, lastToken(pointer))
		}
	}
	return names
}

// scalarsAbove refuses a pointer that leads through a field that is no object:
// the two could never both be found.
func scalarsAbove(places []Place) error {
	for _, p := range places {
		for _, q := range places {
			if p.inBody() && q.inBody() && p.Field != Attributes &&
				p.Root == q.Root && strings.HasPrefix(q.Name, p.Name+"/") {
				return fmt.Errorf("%s at '%s' lies within %s at '%s', which is a text", q.Field, q.Name, p.Field, p.Name)
			}
		}
	}
	return nil
}

// proofsApart refuses one place for two pieces of the proof, say user id and signature:
// no claim could ever verify.
func proofsApart(places []Place) error {
	for i, p := range places {
		for _, q := range places[:i] {
			if p.Field != q.Field && p.Field.Proves() && q.Field.Proves() && p.Name == q.Name && (p.Location == q.Location || p.inBody() && q.inBody()) {
				return fmt.Errorf("%s and %s are both at '%s'", q.Field, p.Field, p.Name)
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

// JSON reads a JSON body, and reports whether it is one. If it is not, there is no
// claim ([ErrMissing]), unless the name of one can stand in it: a more lenient
// parser could find a claim there ([ErrMalformed]).
func (r *reader) JSON(body []byte, to *Reading) bool {
	to.begin(r)
	if r.json == nil {
		return true
	}
	if err := claimjson.Scan(body, r.json, &to.json); err != nil {
		r.unreadable(jsonDetail(err), body, to)
		return false
	}
	for i := range to.json.Values {
		to.member(&r.jsonPlaces[i], body, &to.json.Values[i])
	}
	to.BodyCuts = append(to.BodyCuts, to.json.Cuts...)
	if to.json.More {
		for _, p := range r.jsonPlaces {
			to.MarkDuplicate(p)
		}
		to.BodyCuts = append(to.BodyCuts[:0], Span{End: len(body)})
	}
	return true
}

// Object is [Verifier.JSON] for a body without a Content-Type that says so, in
// which a JSON object begins: it must be an object.
func (r *reader) Object(body []byte, to *Reading) bool {
	to.begin(r)
	if !isObject(body) {
		r.unreadable("begins like a JSON object and is none", body, to)
		return false
	}
	return r.JSON(body, to)
}

// unreadable takes note of a body that does not read in one way.
func (r *reader) unreadable(detail string, body []byte, to *Reading) {
	if name, yes := r.watched.Stand(body); yes {
		to.Fail(&Error{Err: ErrMalformed, Part: atBody, Detail: detail, Name: name})
	}
}

// jsonDetail names the fault for the integrator.
func jsonDetail(err error) string {
	switch {
	case errors.Is(err, claimjson.ErrDepth):
		return "is nested too deeply"
	case errors.Is(err, claimjson.ErrUTF8):
		return "is not valid UTF-8"
	}
	return "is not valid JSON"
}

// JSONOrForm reads a body that is declared to be a form but begins with "{", as some
// widgets send it to spare themselves a preflight. Some servers see JSON in it, others a
// form. So it is read as JSON, and the claim is ambiguous where a form's parser would
// find a piece of the proof, or anything else than what the JSON says.
func (r *reader) JSONOrForm(body []byte, to *Reading) {
	var form Reading
	r.Object(body, to)
	r.form.urlencoded(r, body, false, &form)
	to.Compare(&form)
}
