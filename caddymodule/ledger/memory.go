package ledger

import (
	"fmt"
	"time"
)

// Window says which signatures a caller accepts as fresh.
type Window struct {
	MaxAge time.Duration // how old they may be
	// Skew is how far ahead of the caller's clock they may be signed. Another caller's
	// clock may be as far behind.
	Skew time.Duration
}

// Signed says when something that is accepted once was signed.
type Signed struct {
	At time.Time // the zero time of a token that does not say
	// Expires is a token's exp, which ends it, whoever accepts it. It is zero for a
	// signature, which expires by its age.
	Expires time.Time
}

// Memory says which used signatures a ledger still knows. A ledger keeps it durably, beside
// its entries. The zero Memory is that of a new ledger.
type Memory struct {
	// Window is the longest that was ever served. Used signatures are kept for it even
	// after it became shorter, since the next configuration, or another gateway, may
	// serve it again.
	Window
	// Extended is when the window last became longer, zero for never. Signatures used
	// earlier were kept only until they were Narrow old by every caller's clock.
	Extended time.Time
	Narrow   time.Duration
	// Since is when the ledger began to know all used signatures, zero for always.
	Since time.Time
}

// Extend returns the memory of a ledger that also serves the window from now on, and
// whether that changes anything.
func (m Memory) Extend(w Window, now time.Time) (Memory, bool) {
	next := m
	next.MaxAge, next.Skew = max(m.MaxAge, w.MaxAge), max(m.Skew, w.Skew)
	if next.Window == m.Window {
		return m, false
	}
	// A new ledger has kept nothing for less.
	if m.MaxAge > 0 || !m.Extended.IsZero() {
		// A caller may now be further behind than was assumed.
		narrow := max(0, m.MaxAge+m.Skew-next.Skew)
		// While signatures from before the last extension are still accepted, only the
		// narrower time is certain.
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

// Until returns until when the use of a signature must be kept. After that, no caller
// accepts it, even if its clock is a skew behind.
func (m Memory) Until(signed Signed) time.Time {
	end := signed.Expires
	if end.IsZero() {
		end = signed.At.Add(m.MaxAge)
	}
	return end.Add(m.Skew).Add(time.Second)
}

// Vouch returns nil if the ledger would still have an entry had the signature been used,
// else [ErrTooOld] or an error that wraps [ErrForgotten]. A signature can be used up to a skew before the time
// at which it claims to be signed.
func (m Memory) Vouch(signed Signed, now time.Time) error {
	from := signed.At
	if first := signed.Expires.Add(-m.MaxAge); !signed.Expires.IsZero() && first.After(from) {
		from = first // before it, every window that was ever served refuses the token
	}
	ended := now.Sub(from) > m.Narrow // so that its entry may be gone
	if !signed.Expires.IsZero() {
		// Under every window it was kept until exp, but maybe for a shorter skew.
		ended = now.After(signed.Expires.Add(-m.Skew))
	}
	switch {
	case !m.Since.IsZero() && from.Before(m.Since.Add(m.Skew)):
		return fmt.Errorf("%w: signatures from %s on are accepted", ErrForgotten, m.Since.Add(m.Skew).UTC().Format("15:04:05 MST"))
	case now.Sub(from) > m.MaxAge, ended && from.Before(m.settled()):
		return ErrTooOld
	}
	return nil
}

// settled is when signatures began to be kept for the whole window: the signer's skew and
// another caller's after the extension.
func (m Memory) settled() time.Time {
	if m.Extended.IsZero() {
		return time.Time{}
	}
	return m.Extended.Add(2 * m.Skew)
}
