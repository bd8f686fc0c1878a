package widgets

import (
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const (
	// maxOthers is how many keys a signature is compared with to tell whose it is.
	maxOthers = 32
	// maxRetired is how many retired keys are kept. So that their retirement is noticed,
	// maxKeys of up to maxKnown widgets may be kept beyond the cache.
	maxRetired = 8
	maxKeys    = 4
	maxKnown   = 1024
)

// Other is a key that does not verify for a widget: another widget's, or a retired one. Of
// its secret there is only the HMAC's state.
type Other struct {
	Widget  string
	Key     *verifier.Key // its ID is the secret's version
	Retired bool          // no longer a secret of the widget
}

// others remembers keys that were used recently, and those that were retired.
type others struct {
	used   [maxOthers]atomic.Pointer[decrypted]
	opened atomic.Uint32 // keys are spread over used in the order in which they were decrypted

	mu      sync.Mutex
	known   [maxKnown][]*decrypted // the last keys of a widget, of those that share a place
	retired []Other                // newest first
}

// use notes that a key was used.
func (o *others) use(key *decrypted) {
	if key.sealed.Kind != Secrets {
		return
	}
	if at := &o.used[key.slot]; at.Load() != key {
		at.Store(key)
	}
}

// learn notes which keys the record's widget no longer has, and a new one of it, if any.
func (o *others) learn(r *Record, key *decrypted) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := &o.known[crc32.ChecksumIEEE([]byte(r.ID))%maxKnown]
	kept := make([]*decrypted, 0, maxKeys)
	if key != nil {
		kept = append(kept, key)
	}
	for _, before := range *at {
		switch {
		case before.id == r.ID && !r.has(before.sealed.Version):
			o.retire(Other{r.ID, before.keys[0], true})
		case (before.id == r.ID || key == nil) && len(kept) < maxKeys && (key == nil || before.sealed.Version != key.sealed.Version):
			kept = append(kept, before)
		}
	}
	*at = kept
}

func (r *Record) has(version string) bool {
	return r != nil && slices.ContainsFunc(r.Secrets, func(s Sealed) bool { return s.Version == version })
}

// retire needs the lock.
func (o *others) retire(key Other) {
	o.retired = slices.Insert(o.retired[:min(len(o.retired), maxRetired-1)], 0, key)
}

// Retire notes that an inline secret no longer verifies.
func (k *Keys) Retire(key Other) {
	k.others.mu.Lock()
	defer k.others.mu.Unlock()
	k.others.retire(key)
}

// Others returns up to 32 keys that may have made a signature which a widget's own do not
// give: its secrets whose grace is over, retired ones, and those of other widgets that were
// used recently. The record is nil for an inline widget.
func (k *Keys) Others(widget string, r *Record) (all []Other) {
	add := func(key Other) {
		if len(all) < maxOthers && (key.Widget != widget || key.Retired) {
			all = append(all, key)
		}
	}
	now := k.now()
	if r != nil {
		k.others.learn(r, nil)
		for i := range r.Secrets {
			s := &r.Secrets[i]
			if o, ok := k.cache.Get(s.Version); ok && s.Kind == Secrets && !s.Live(now) && o.is(r.ID, s) {
				add(Other{r.ID, o.keys[0], true})
			}
		}
	}
	k.others.mu.Lock()
	retired := slices.Clone(k.others.retired)
	k.others.mu.Unlock()
	for _, key := range retired {
		if key.Widget != widget || !r.has(key.Key.ID) {
			add(key)
		}
	}
	for i := range k.others.used {
		if o := k.others.used[i].Load(); o != nil {
			add(Other{Widget: o.id, Key: o.keys[0]})
		}
	}
	return all
}
