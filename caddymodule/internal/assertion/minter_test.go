package assertion

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// clock is a clock that a test sets.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newTestMinter(t testing.TB, lifetime time.Duration) (*Minter, *Key, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_800_000_000, 0)}
	keys, err := First(c.Time)
	if err != nil {
		t.Fatal(err)
	}
	return NewMinter("gateway", lifetime, c.now), keys.Signer(c.Time), c
}

func (m *Minter) mint(t testing.TB, key *Key, s Statement) string {
	t.Helper()
	token, err := m.Mint(key, &s)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// read verifies a token, and returns its header and claims.
func read(t testing.TB, key *Key, token string) (header, claims map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(key.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	first, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	protected := first.Signatures[0].Protected
	header = map[string]any{"alg": protected.Algorithm, "kid": protected.KeyID}
	for name, value := range protected.ExtraHeaders {
		header[string(name)] = value
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return header, claims
}

func verifiedStatement() Statement {
	return Statement{Audience: "chat", Outcome: "verified", Widget: "shop", User: "zoé & <b>\"1\"</b>", Dialect: "jwt", SignedAt: time.UnixMilli(1_799_999_990_999),
		Email: "z@example.com", Name: "Zo\u00e9", Attributes: `{"plan":"pr\u00f6","n":1e2,"deep":{"x":[1,null]}}`}
}

// TestContents: an assertion has what it is specified to have, and nothing else.
func TestContents(t *testing.T) {
	m, key, _ := newTestMinter(t, time.Minute)
	for name, c := range map[string]struct {
		statement Statement
		want      string
	}{
		"everything": {verifiedStatement(), `{"iss":"gateway","aud":"chat","iat":1800000000,"exp":1800000060,"outcome":"verified","sub":"zoé & <b>\"1\"</b>",
			"widget":"shop","dialect":"jwt","auth_time":1799999990,"email":"z@example.com","name":"Zoé","attributes":{"plan":"prö","n":100,"deep":{"x":[1,null]}}}`},
		"a signature": {Statement{Audience: "chat", Outcome: "verified", Widget: "shop", User: "42", Dialect: "bookbag"},
			`{"iss":"gateway","aud":"chat","iat":1800000000,"exp":1800000060,"outcome":"verified","sub":"42","widget":"shop","dialect":"bookbag"}`},
		"signed in 1970": {Statement{Audience: "chat", Outcome: "verified", Widget: "shop", User: "42", Dialect: "jwt", SignedAt: time.Unix(0, 0)},
			`{"iss":"gateway","aud":"chat","iat":1800000000,"exp":1800000060,"outcome":"verified","sub":"42","widget":"shop","dialect":"jwt","auth_time":0}`},
		"nobody": {Statement{Audience: "chat", Outcome: "anonymous", Reason: "missing"},
			`{"iss":"gateway","aud":"chat","iat":1800000000,"exp":1800000060,"outcome":"anonymous","reason":"missing"}`},
	} {
		header, got := read(t, key, m.mint(t, key, c.statement))
		var want map[string]any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if want := map[string]any{"alg": "ES256", "typ": "JWT", "kid": key.ID}; !reflect.DeepEqual(header, want) {
			t.Errorf("%s: header %v, want %v", name, header, want)
		}
	}
}

// contents are statements that differ in one thing each, or could be taken for each other
// if they were joined.
func contents() []Statement {
	all := []Statement{verifiedStatement()}
	v := reflect.TypeFor[Statement]()
	for i := range v.NumField() {
		s := verifiedStatement()
		switch field := reflect.ValueOf(&s).Elem().Field(i); {
		case v.Field(i).Name == "SignedAt":
			s.SignedAt = time.Time{}
		case v.Field(i).Name == "Attributes":
			s.Attributes = `{"plan":"other"}`
		default:
			field.SetString(field.String() + "1")
		}
		all = append(all, s)
	}
	joined := []Statement{
		{Audience: "ab", Outcome: "c"}, {Audience: "a", Outcome: "bc"}, {Widget: "ab", User: "c"}, {Widget: "a", User: "bc"}, {User: "a", Dialect: "b"},
		{Email: "x"}, {Name: "x"}, {User: "\x00\x00\x00\x01x"}, {Widget: "\x00", User: "x"},
	}
	return append(all, joined...)
}

// TestReuse: one content has one assertion in a quarter of its lifetime, whatever the time
// of the claim, and no other content has it.
func TestReuse(t *testing.T) {
	for _, lifetime := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, time.Minute, time.Hour} {
		m, key, c := newTestMinter(t, lifetime)
		start := c.Time
		tokens := make(map[string]Statement)
		first := make([]string, len(contents()))
		for i, s := range contents() {
			first[i] = m.mint(t, key, s)
			if other, met := tokens[first[i]]; met {
				t.Fatalf("%+v and %+v have one assertion", s, other)
			}
			tokens[first[i]] = s
		}
		c.Time = start.Add(lifetime/4 - 1)
		for i, s := range contents() {
			if !s.SignedAt.IsZero() {
				s.SignedAt = s.SignedAt.Add(time.Second)
			}
			if m.mint(t, key, s) != first[i] {
				t.Fatalf("%v: %+v has another assertion before a quarter of it is over", lifetime, s)
			}
		}
		c.Time = start.Add(lifetime / 4)
		for i, s := range contents() {
			if m.mint(t, key, s) == first[i] {
				t.Fatalf("%v: %+v has the same assertion after a quarter of its lifetime", lifetime, s)
			}
		}
	}
}

// TestNeverExpired: whatever the fraction of a second, and however the clock is set, what
// is used has not expired and is not of the future.
func TestNeverExpired(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, lifetime := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, time.Minute} {
		m, key, c := newTestMinter(t, lifetime)
		for range 300 {
			c.Time = c.Add(time.Duration(random.Int64N(int64(lifetime))) - lifetime/5) // sometimes back
			_, claims := read(t, key, m.mint(t, key, verifiedStatement()))
			iat, exp, now := int64(claims["iat"].(float64)), int64(claims["exp"].(float64)), c.UnixNano()
			if exp-iat != int64(lifetime.Seconds()) || iat*1e9 > now || exp*1e9 <= now {
				t.Fatalf("%v: at %d an assertion from %d to %d", lifetime, now, iat, exp)
			}
		}
	}
}

// TestRotated: what an earlier key signed is not used once another one signs.
func TestRotated(t *testing.T) {
	m, key, c := newTestMinter(t, time.Minute)
	before := m.mint(t, key, verifiedStatement())
	keys, err := First(c.Time)
	if err != nil {
		t.Fatal(err)
	}
	other := keys.Signer(c.Time)
	if after := m.mint(t, other, verifiedStatement()); after == before {
		t.Error("the assertion of the earlier key is used")
	} else if header, _ := read(t, other, after); header["kid"] != other.ID {
		t.Errorf("header %v", header)
	}
}

// TestConcurrentMint: requests that come at once get one assertion.
func TestConcurrentMint(t *testing.T) {
	m, key, _ := newTestMinter(t, time.Minute)
	const users, requests = 20, 16
	var mu sync.Mutex
	tokens := make(map[string]string)
	var group sync.WaitGroup
	for i := range users * requests {
		group.Go(func() {
			s := verifiedStatement()
			s.User = fmt.Sprint(i % users)
			token, err := m.Mint(key, &s)
			mu.Lock()
			defer mu.Unlock()
			if held := tokens[s.User]; err != nil || held != "" && held != token {
				t.Errorf("user %s: a second assertion, error %v", s.User, err)
			}
			tokens[s.User] = token
		})
	}
	group.Wait()
	if distinct := slices.Compact(slices.Sorted(maps.Values(tokens))); len(distinct) != users {
		t.Errorf("%d assertions of %d users", len(distinct), users)
	}
}

// TestUnsignable: what could not be signed is an error each time, and leaves nothing.
func TestUnsignable(t *testing.T) {
	m, key, _ := newTestMinter(t, time.Minute)
	s := verifiedStatement()
	s.Attributes = `{"open":`
	for range 2 {
		if token, err := m.Mint(key, &s); err == nil || token != "" {
			t.Errorf("%q, error %v", token, err)
		}
	}
	if m.young.size != 0 || len(m.young.minted) != 0 {
		t.Errorf("%d bytes of %d assertions are left", m.young.size, len(m.young.minted))
	}
}

// user is a statement as the most common dialects have it, with an id like a UUID.
func user(i int) Statement {
	return Statement{Audience: "https://chat.example.com", Outcome: "verified", Widget: "example-shop", User: fmt.Sprintf("6f1c1e2a-0000-4000-8000-%012d", i), Dialect: "bookbag"}
}

// TestBounded: 100,000 users are held, at no more memory than is accounted for, and ten
// times as many take no more than the bound.
func TestBounded(t *testing.T) {
	m, key, c := newTestMinter(t, time.Hour)
	heap := func() int {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc)
	}
	const users = 100_000
	before := heap()
	for i := range users {
		m.mint(t, key, user(i))
	}
	used := heap() - before
	t.Logf("%d bytes a user, accounted as %d", used/users, m.young.size/users)
	if used > m.young.size || m.young.size > m.size {
		t.Errorf("%d users take %d bytes, accounted as %d of %d", users, used, m.young.size, m.size)
	}
	if len(m.young.minted) != users {
		t.Errorf("%d assertions are held of %d users", len(m.young.minted), users)
	}
	// The same users in the next quarters take the same room.
	for range 3 {
		c.Time = c.Add(15 * time.Minute)
		for i := range 10 {
			m.mint(t, key, user(i))
		}
	}
	if n := len(m.young.minted) + len(m.old.minted); n != 10 {
		t.Errorf("%d assertions are held of 10 users", n)
	}
	m.size = 1000 * (m.young.size / 10)
	for i := range 10_000 {
		m.mint(t, key, user(i))
		if held := m.young.size + m.old.size; held > m.size {
			t.Fatalf("%d bytes are held of %d", held, m.size)
		}
	}
	if n := len(m.young.minted) + len(m.old.minted); n != 1000 {
		t.Errorf("%d assertions are held, want 1000", n)
	}
}

// TestBoundedEscaped: texts that are longer in a token than in a request take no more memory
// than is accounted for.
func TestBoundedEscaped(t *testing.T) {
	m, key, _ := newTestMinter(t, time.Hour)
	m.issuer = strings.Repeat(`"`, 255)
	held := 0
	for i := range 10 {
		s := user(i)
		s.Name = strings.Repeat("\x01", 255)
		held += len(m.mint(t, key, s))
	}
	if m.young.size < held {
		t.Errorf("%d bytes of assertions are accounted as %d", held, m.young.size)
	}
}

// TestMintAlloc: an assertion that was minted before costs no memory.
func TestMintAlloc(t *testing.T) {
	m, key, _ := newTestMinter(t, time.Minute)
	s := user(1)
	m.mint(t, key, s)
	if n := testing.AllocsPerRun(100, func() { _, _ = m.Mint(key, &s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkMint: what an assertion adds to a request.
func BenchmarkMint(b *testing.B) {
	for _, users := range []int{1, 64, 100_000} {
		b.Run(fmt.Sprintf("%d users", users), func(b *testing.B) {
			m, key, _ := newTestMinter(b, time.Hour)
			ids := make([]string, users)
			for i, n := range rand.New(rand.NewPCG(1, 2)).Perm(users) {
				ids[i] = user(n).User
				m.mint(b, key, user(n))
			}
			s := user(0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.User = ids[i%users]
				_, _ = m.Mint(key, &s)
			}
		})
	}
	b.Run("signing", func(b *testing.B) {
		m, key, _ := newTestMinter(b, time.Hour)
		for i := 0; b.Loop(); i++ {
			m.mint(b, key, user(i))
		}
	})
	b.Run("long attributes", func(b *testing.B) {
		m, key, _ := newTestMinter(b, time.Hour)
		s := user(1)
		s.Attributes = `{"note":"` + strings.Repeat("x", 4000) + `"}`
		for b.Loop() {
			m.mint(b, key, s)
		}
	})
}
