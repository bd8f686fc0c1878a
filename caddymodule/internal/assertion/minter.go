package assertion

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Statement is what an assertion says of a request.
type Statement struct {
	Audience, Outcome string
	Reason            string // "" if it is verified
	// The following are those of a verified request.
	Widget, User, Dialect string
	SignedAt              time.Time // of the claim; zero if it does not say
	// What a token signed beside the user's id, "" for nothing. Attributes is a JSON object.
	Email, Name, Attributes string
}

// Minter signs statements. A signature costs as much as the rest of a request, so each
// assertion is used for a quarter of its lifetime.
type Minter struct {
	issuer   string
	lifetime time.Duration
	now      func() time.Time
	size     int

	// An assertion is in one of two generations, by when it was minted. All of the older one
	// is dropped at once, when nothing in it is used anymore.
	mu         sync.Mutex
	young, old generation
	began      int64 // the young one, in Unix nanoseconds
}

type generation struct {
	minted map[[sha256.Size]byte]*minted
	size   int // in bytes
}

// minted is an assertion, and what it was minted with.
type minted struct {
	once  sync.Once
	token string
	err   error
	keyID string
	at    int64 // in Unix nanoseconds
	size  int
}

// Sizes of the cache, in bytes. A token's place in it is approximately placeSize.
const (
	maxSize   = 128 << 20
	placeSize = 320
)

// NewMinter returns a minter of assertions with that issuer and lifetime, in whole seconds.
func NewMinter(issuer string, lifetime time.Duration, now func() time.Time) *Minter {
	return &Minter{issuer: issuer, lifetime: lifetime, now: now, size: maxSize}
}

// Mint returns an assertion of the statement, signed with that key. It may be an earlier one
// of the same statement, made for another claim.
func (m *Minter) Mint(key *Key, s *Statement) (string, error) {
	digest := s.digest()
	e := m.find(digest, key.ID, m.now().UnixNano())
	e.once.Do(func() {
		e.token, e.err = m.sign(key, s, e.at)
		m.finish(digest, e)
	})
	return e.token, e.err
}

// digest identifies the content. Lengths are included, so that no two contents have the same
// digest. Of the time of the claim it says only whether there is one: a newer claim that says
// the same gets the same assertion.
func (s *Statement) digest() [sha256.Size]byte {
	var room [512]byte // most contents fit
	text := room[:0]
	for _, part := range [...]string{s.Audience, s.Outcome, s.Reason, s.Widget, s.User, s.Dialect, s.Email, s.Name, s.Attributes} {
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	if s.SignedAt.IsZero() {
		text = append(text, 0)
	}
	return sha256.Sum256(text)
}

// find returns the assertion of that content, perhaps one that nobody has signed yet.
func (m *Minter) find(digest [sha256.Size]byte, keyID string, now int64) *minted {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age := now - m.began; age < 0 || age >= m.reuse() {
		m.startGeneration(now)
	}
	for _, g := range [...]*generation{&m.young, &m.old} {
		e := g.minted[digest]
		if e == nil {
			continue
		}
		if e.keyID == keyID && m.usable(e.at, now) {
			return e
		}
		g.remove(digest, e)
	}
	e := &minted{keyID: keyID, at: now, size: placeSize}
	m.young.minted[digest] = e
	m.young.size += e.size
	return e
}

// usable reports whether what was minted then is still used. The clock may have been set
// back, and a lifetime of a second may end within its quarter, since times are whole seconds.
func (m *Minter) usable(at, now int64) bool {
	return now >= at && now-at < m.reuse() && now < m.expiry(at)*int64(time.Second)
}

// reuse is how long an assertion is used, in nanoseconds.
func (m *Minter) reuse() int64 { return int64(m.lifetime / 4) }

// expiry is when what is minted at that time expires, in Unix seconds.
func (m *Minter) expiry(at int64) int64 { return at/int64(time.Second) + int64(m.lifetime/time.Second) }

func (m *Minter) startGeneration(now int64) {
	m.old, m.young, m.began = m.young, generation{minted: make(map[[sha256.Size]byte]*minted)}, now
}

// evict makes room by removing any assertion, an older one if there is one.
func (m *Minter) evict() bool {
	for _, g := range [...]*generation{&m.old, &m.young} {
		for digest, e := range g.minted {
			g.remove(digest, e)
			return true
		}
	}
	return false
}

func (g *generation) remove(digest [sha256.Size]byte, e *minted) {
	delete(g.minted, digest)
	g.size -= e.size
}

// finish counts the size of what was signed, for which it makes room, or removes what could
// not be signed.
func (m *Minter) finish(digest [sha256.Size]byte, e *minted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, g := range [...]*generation{&m.young, &m.old} {
		switch {
		case g.minted[digest] != e: // it was removed meanwhile, or is in the other
		case e.err != nil:
			g.remove(digest, e)
		default:
			e.size += len(e.token)
			g.size += len(e.token)
		}
	}
	for m.young.size+m.old.size > m.size && m.evict() {
	}
}

// claims are the payload of an assertion (RFC 7519).
type claims struct {
	Issuer     string         `json:"iss"`
	Audience   string         `json:"aud"`
	IssuedAt   int64          `json:"iat"`
	Expires    int64          `json:"exp"`
	Outcome    string         `json:"outcome"`
	Reason     string         `json:"reason,omitempty"`
	Subject    string         `json:"sub,omitempty"`
	Widget     string         `json:"widget,omitempty"`
	Dialect    string         `json:"dialect,omitempty"`
	AuthTime   *int64         `json:"auth_time,omitempty"`
	Email      string         `json:"email,omitempty"`
	Name       string         `json:"name,omitempty"`
	Attributes jsontext.Value `json:"attributes,omitempty"`
}

// sign returns the statement as a JWT.
func (m *Minter) sign(key *Key, s *Statement, at int64) (string, error) {
	c := claims{
		Issuer: m.issuer, Audience: s.Audience, IssuedAt: at / int64(time.Second), Expires: m.expiry(at),
		Outcome: s.Outcome, Reason: s.Reason, Subject: s.User, Widget: s.Widget, Dialect: s.Dialect,
		Email: s.Email, Name: s.Name,
	}
	if s.Attributes != "" {
		c.Attributes = jsontext.Value(s.Attributes)
	}
	if !s.SignedAt.IsZero() {
		c.AuthTime = new(s.SignedAt.Unix())
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key.Private, KeyID: key.ID}},
		new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
