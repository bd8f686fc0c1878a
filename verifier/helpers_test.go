package verifier

// settled returns the claim as Shape would find it.
func (r *Reading) settled() *Claim {
	again := *r
	again.settle()
	return &again.Claim
}

// fault returns the first reason against what was read, of body or field.
func (r *Reading) fault() error {
	for rank := range r.found {
		for f := range r.found[rank] {
			if err := r.found[rank][f].err; err != nil && r.err == nil {
				return err
			}
		}
	}
	return r.err
}

// twofold reports whether a field could be read in two ways.
func (r *Reading) twofold() bool {
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
func (r *Reader) multipart(body []byte, boundary string, to *Reading) {
	m := r.Multipart(boundary, 1<<20, to)
	_, err := m.Write(body)
	if err != nil {
		to.Fail(err)
	} else if !m.Close() {
		r.unreadable("is not a valid multipart form", body, to)
	}
}
