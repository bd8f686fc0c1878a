package ledger

import "time"

// Window says which signatures a caller takes for fresh.
type Window struct {
	MaxAge time.Duration // how old they may be
	// Skew is how far ahead of the caller's clock they may be signed. Another
	// caller's clock may be as far behind.
	Skew time.Duration
}

// Memory says which used signatures a ledger still knows. Every ledger keeps it
// durably, beside its entries. The zero Memory is that of a new ledger.
type Memory struct {
	// Window is the longest that was ever served. What is used is kept for it,
	// whatever is served by then: the next configuration, or another gateway,
	// may serve it again.
	Window
	// Extended is when the window last became longer. What was used before was kept
	// for no older signatures than Narrow, seen by any caller's clock. Zero: never.
	Extended time.Time
	Narrow   time.Duration
	// Since is from when on the ledger knows everything. Zero: always.
	Since time.Time
}

// Extend returns the memory of a ledger that serves the window from now on, too,
// and whether that changes anything.
func (m Memory) Extend(w Window, now time.Time) (Memory, bool) {
	next := m
	next.MaxAge, next.Skew = max(m.MaxAge, w.MaxAge), max(m.Skew, w.Skew)
	if next.Window == m.Window {
		return m, false
	}
	// A new ledger has kept nothing for less.
	if m.MaxAge > 0 || !m.Extended.IsZero() {
		// A caller may now be a longer skew behind than was reckoned with.
		narrow := max(0, m.MaxAge+m.Skew-next.Skew)
		// Where the last extension is not yet older than what it lets in, only
		// what was kept before that is kept for sure.
		if now.Add(-m.MaxAge).Before(next.settled()) {
			narrow = min(narrow, m.Narrow)
		}
		next.Narrow = narrow
		if now.After(m.Extended) {
			next.Extended = now
		}
	}
	return next, true
}

// Until returns until when the use of what was signed at that time is to be
// kept. By then no caller takes it for fresh, were his clock a skew behind.
func (m Memory) Until(signed time.Time) time.Time {
	return signed.Add(m.MaxAge).Add(m.Skew).Add(time.Second)
}

// Vouch returns nil where an entry would still be there, had it been used, and
// else [ErrTooOld] or [ErrForgotten]. A signature can be used up to a skew before
// the time at which it says that it was signed.
func (m Memory) Vouch(signed, now time.Time) error {
	age := now.Sub(signed)
	switch {
	case !m.Since.IsZero() && signed.Before(m.Since.Add(m.Skew)):
		return ErrForgotten
	case age > m.MaxAge, age > m.Narrow && signed.Before(m.settled()):
		return ErrTooOld
	}
	return nil
}

// settled is from when on nothing that is signed was kept for less: a skew of the
// signer after the extension, and one of another caller.
func (m Memory) settled() time.Time {
	if m.Extended.IsZero() {
		return time.Time{}
	}
	return m.Extended.Add(2 * m.Skew)
}
