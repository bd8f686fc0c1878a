package verifier

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// reader finds the fields of a claim in a request.
type reader struct {
	places  []Place
	signed  message
	strip   [numFields]bool
	watched *names.Set

	json       *claimjson.Paths
	jsonPlaces []Place // by target

	form, query formReader

	texts []*text // JSON texts that hold fields
}

// compile makes it ready to read places. A field that the message signs is watched
// as a piece of the proof.
func (r *reader) compile(places []Place, at string, signed *message, strip []Field) error {
	r.places, r.signed = places, *signed
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
	for _, p := range places {
		if p.Rank < 0 || p.Rank >= maxRanks {
			return fmt.Errorf("%s: at most %d places stand in for each other", p.Field, maxRanks)
		}
		if err := p.Check(); err != nil {
			return fmt.Errorf("%s: %w", p.Field, err)
		}
	}
	if err := r.compileTexts(); err != nil {
		return err
	}
	var (
		targets     []claimjson.Target
		form, query formNames
		watched     []string
	)
	for _, p := range places {
		t := r.textAt(&p)
		switch p.Location {
		case "", atBody:
			pointer := at + p.pointer()
			if p.Root {
				pointer = p.pointer()
			}
			targets = append(targets, claimjson.Target{Pointer: pointer, Cut: r.cuts(p.Field)})
			r.jsonPlaces = append(r.jsonPlaces, p)
			form.addField(p, t)
			if !r.watches(p.Field) && !r.strip[p.Field] {
				continue
			}
			path, _ := claimjson.Tokens(pointer) // which is checked
			form.nest(path, p, t)
			if inQuery(places, p.Field) {
				query.nest(path, p, r.textAt(&Place{Field: Attributes, Location: atQuery, Name: path[0]}))
			}
			if !r.watches(p.Field) {
				continue
			}
			watched = append(watched, p.watched()...)
			if at != "" {
				form.add(claimform.Name{Path: []string{operations}, Way: true}, p)
			}
		case atQuery:
			query.addField(p, t)
			if r.watches(p.Field) {
				watched = append(watched, p.watched()...)
			}
			if p.Within != "" && (r.watches(p.Field) || r.strip[p.Field]) {
				query.nest(p.inForm(), p, t)
			}
		}
	}
	r.watched = names.Compile(watched)
	var err error
	if len(targets) > 0 {
		if r.json, err = claimjson.Compile(targets, r.standsOnWay); err != nil {
			return err
		}
		if r.form, err = form.compile("form"); err != nil {
			return err
		}
	}
	r.query, err = query.compile("query")
	return err
}

// watches reports whether the field is a piece of the proof, or names a widget, a
// conversation or a visitor. The others are nobody's word but the browser's.
func (r *reader) watches(f Field) bool { return f.Proves() || f >= Widget || r.signed.Signs(f) }

// cuts reports whether what is found of the field goes with an unverified claim.
func (r *reader) cuts(f Field) bool { return f.Proves() || r.strip[f] }

func inQuery(places []Place, f Field) bool {
	return slices.ContainsFunc(places, func(p Place) bool { return p.Field == f && p.Location == atQuery })
}

// standsOnWay reports whether a watched name can stand in a text on the way to a field in
// JSON, however it is written.
func (r *reader) standsOnWay(inside []byte, begins bool) bool {
	if begins {
		return r.stands(inside)
	}
	for _, t := range r.texts {
		if t.base64 && t.inBody() && t.standsInString(inside) {
			return true
		}
	}
	return false
}

// stands reports whether a watched name can stand in a text, however it is written.
func (r *reader) stands(text []byte) bool { _, yes := r.watched.Stand(text); return yes }

func never([]byte, bool) bool { return false }

// membersOwned returns the names within the attributes' object that are fields
// of their own, and so no attributes.
func membersOwned(places []Place) []string {
	var names []string
	for _, p := range places {
		for _, a := range places {
			if pointer, ok := p.below(&a); ok && a.Field == Attributes && p.Field < Widget && strings.Count(pointer, "/") == 1 {
				names = append(names, lastToken(pointer))
			}
		}
	}
	return names
}

// scalarsAbove refuses a pointer that leads through a field that is no object:
// the two could never both be found.
func scalarsAbove(places []Place) error {
	for _, p := range places {
		for _, q := range places {
			if _, within := q.below(&p); within && p.Field != Attributes && p.Root == q.Root {
				return fmt.Errorf("%s at '%s' lies within %s at '%s', which is a text", q.Field, q.at(), p.Field, p.at())
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
			if p.Field != q.Field && p.Field.Proves() && q.Field.Proves() && p.Within == q.Within && p.sameName(&q) {
				return fmt.Errorf("%s and %s are both at '%s'", q.Field, p.Field, p.at())
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
