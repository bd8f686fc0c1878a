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
