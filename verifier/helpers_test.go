package verifier

import (
	"errors"
	"io"
	"testing"
)

// settled returns the claim as Shape would find it.
func (r *Reading) settled() *claim {
	again := *r
	again.settle()
	return &again.claim
}

// fault returns the first reason against what was read, of body or field.
func (r *Reading) fault() error {
	for rank := range r.found {
		for f := range r.found[rank] {
			if err := r.found[rank][f].err; err != nil {
				return err
			}
		}
	}
	return r.err
}

// ambiguous reports whether a field could be read in two ways.
func (r *Reading) ambiguous() bool {
	for rank := range r.found {
		for f := range r.found[rank] {
			if r.found[rank][f].ambiguous() {
				return true
			}
		}
	}
	return false
}

// multipart reads a whole multipart body, as a gateway does.
func (r *reader) multipart(body []byte, boundary string, to *Reading) {
	m := r.Multipart(boundary, 1<<20, to)
	_, err := m.Write(body)
	if err != nil {
		to.Fail(err)
	}
	m.CloseSearching(func(w io.Writer) bool { _, err := w.Write(body); return err == nil })
}

// compileReader returns what reads places and no dialect's.
func compileReader(places []Place, at string) (*reader, error) {
	r := new(reader)
	return r, r.compile(places, at, new(message), nil)
}

// compiled returns what checks claims of a dialect without places.
func compiled(t testing.TB, d Dialect) *Verifier {
	t.Helper()
	v, err := d.Reader()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sent returns a reading of a claim that was sent in plain fields.
func sent(c claim) *Reading {
	r := new(Reading)
	for f, value := range c {
		if len(value) > 0 {
			r.Text(Place{Field: Field(f)}, value)
		}
	}
	return r
}

// judged is Shape's verdict, or else why a field was left out.
func judged(v *Verifier, r *Reading) error {
	err := v.shape(r)
	if left := r.LeftOut(); len(left) > 0 && (err == nil || errors.Is(err, ErrMissing)) {
		return left[0]
	}
	return err
}
