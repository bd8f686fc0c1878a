package verifier

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestParseMessage(t *testing.T) {
	for _, test := range []struct {
		text  string
		error string // what the error says; "" where there is none
	}{
		{"{user_id}", ""},
		{"v1:{user_id}", ""},
		{"{user_id}:v1", ""},
		{"{user_id}{nonce}{timestamp}", ""},
		{"{nonce}{timestamp}{user_id}", ""},
		{"{timestamp}{user_id}", ""},
		{"{user_id}{timestamp}", ""},
		{"{timestamp}.{user_id}", ""},
		{"{user_id}\n{email}", ""},
		{"{email}\n{user_id}", ""},
		{"{user_id}\x7f{email}", ""},
		{"{user_id}{nonce}\n{email}", ""},
		{"{user_id}\n{timestamp}\n{email}", ""},
		{"{user_id}x{timestamp}\n{email}", ""},
		{"{user_id}foo\n{email}", ""},
		{"{user_id}\nfoo{email}", ""},
		{"{user_id}9{timestamp}", ""},
		{"ü{user_id}ü", ""},

		{"", "lacks {user_id}"},
		{"{email}", "lacks {user_id}"},
		{"user_id", "lacks {user_id}"},
		{"{user_id}{user_id}", "names {user_id} twice"},
		{"{user_id}\n{email}\n{email}", "names {email} twice"},
		{"{user_id", "has a { without a }"},
		{"{", "has a { without a }"},
		{"user_id}{user_id}", "has a } without a {"},
		{"{user_id}}", "has a } without a {"},
		{"{}{user_id}", "{} is not one of"},
		{"{{user_id}", "{{user_id} is not one of"},
		{"{name}{user_id}", "{name} is not one of {user_id}, {email}, {timestamp}, {nonce}"},
		{"{signature}{user_id}", "{signature} is not one of"},
		{"{widget}{user_id}", "{widget} is not one of"},
		{"{User_ID}", "{User_ID} is not one of"},

		{"{user_id}{email}", "split in two ways, since nothing separates {user_id} from {email}, "},
		{"{email}{user_id}", "since nothing separates {email} from {user_id}, "},
		{"{user_id}:{email}", "since {user_id} and {email} may both hold ':', "},
		{"{user_id}.{timestamp}.{email}", "split in two ways, between {user_id} and {email}, "},
		{"{user_id}|{email}", "may both hold '|', so that one signature would fit two users: put a newline there"},
		{"{user_id}{nonce}{email}", "split in two ways, between {user_id} and {email}, "},
		{"{user_id}{timestamp}{email}", "split in two ways, between {user_id} and {email}, "},
		{"{user_id}a\nb{email}", "split in two ways, between {user_id} and {email}, "},
		// A C1 control is none of the bytes that a boundary is looked for by.
		{"{user_id}\u0085{email}", "split in two ways, between {user_id} and {email}, "},
		{"{user_id}\n{timestamp}{email}", "{timestamp}, of 10 or 13 digits, runs into its neighbour"},
		{"{user_id}{timestamp}\n{email}", "{timestamp}, of 10 or 13 digits, runs into its neighbour"},
		{"{user_id}\n1{timestamp}\n{email}", "{timestamp}, of 10 or 13 digits, runs into its neighbour"},
	} {
		m, err := parseMessage(test.text, defaultNonceLength)
		switch {
		case test.error == "" && err != nil, test.error != "" && (err == nil || !strings.Contains(err.Error(), test.error)):
			t.Errorf("%q: got %v, want %q", test.text, err, test.error)
		case err == nil && m.String() != test.text:
			t.Errorf("%q prints as %q", test.text, m.String())
		}
	}
	for _, length := range []int{0, -1} {
		if _, err := parseMessage("{user_id}", length); err == nil || !strings.Contains(err.Error(), "at least one character") {
			t.Errorf("nonces of %d characters: %v", length, err)
		}
	}
}

func TestMessageSigns(t *testing.T) {
	m := template(t, "{user_id}{nonce}{timestamp}", 4)
	v := compiled(t, Dialect{Message: m.text, MaxAge: time.Second})
	for f := UserID; f < numFields; f++ {
		want := f == UserID || f == Nonce || f == Timestamp
		if m.Signs(f) != want || v.Signs(f) != want {
			t.Errorf("signs %s: %v, %v", f, m.Signs(f), v.Signs(f))
		}
	}
	c := &claim{UserID: []byte("u"), Nonce: []byte("nonc"), Timestamp: []byte("1234567890"), Email: []byte("e")}
	if got := string(m.Append([]byte("> "), c)); got != "> unonc1234567890" {
		t.Errorf("message %q", got)
	}
}

// readings returns every claim of valid fields of which the template makes the
// text, found by trying each length of each field.
func readings(m *message, text []byte) []claim {
	var found []claim
	var claim claim
	var try func(parts []part, rest []byte)
	try = func(parts []part, rest []byte) {
		if len(parts) == 0 {
			if len(rest) == 0 {
				found = append(found, claim)
			}
			return
		}
		p := parts[0]
		if p.literal != nil {
			if after, ok := bytes.CutPrefix(rest, p.literal); ok {
				try(parts[1:], after)
			}
			return
		}
		for n := 1; n <= len(rest); n++ {
			if validField(m, p.field, rest[:n]) {
				claim[p.field] = rest[:n]
				try(parts[1:], rest[n:])
				claim[p.field] = nil
			}
		}
	}
	try(m.parts, text)
	return found
}

func validField(m *message, f Field, value []byte) bool {
	switch f {
	case Nonce:
		return validNonce(value, m.nonce)
	case Timestamp:
		_, ok := parseTimestamp(value)
		return ok
	default:
		return utf8.Valid(value) && !hasControl(value)
	}
}

const (
	propertyNonce = 2
	// At this time 1981981982 milliseconds after their own 198·10^10 are the
	// same time: a timestamp of 13 digits whose last ten are one as well.
	twoFresh       = 1981981982
	twoFreshMillis = "1981981981982"
)

// randomTemplate puts fields and literals in any order.
func randomTemplate(random *rand.Rand) string {
	fields := []string{"{user_id}", "{email}", "{timestamp}", "{nonce}"}
	random.Shuffle(len(fields), func(i, k int) { fields[i], fields[k] = fields[k], fields[i] })
	literals := []string{"", "", "\n", "a", "1", ".", "-", "\x7f", "é", "a\n", "\n1", "\n\n", "198"}
	var text strings.Builder
	for _, f := range fields[:1+random.IntN(len(fields))] {
		text.WriteString(literals[random.IntN(len(literals))])
		text.WriteString(f)
	}
	text.WriteString(literals[random.IntN(len(literals))])
	return text.String()
}

func randomClaim(random *rand.Rand) *claim {
	alphabet := []string{"1", "9", "8", "a", ".", "-", "é", "198"}
	text := func(most int) []byte {
		var b []byte
		for range 1 + random.IntN(most) {
			b = append(b, alphabet[random.IntN(len(alphabet))]...)
		}
		return b
	}
	times := []string{"1981981982", twoFreshMillis, "1111111111", "9819819819819"}
	nonces := []string{"19", "98", "81", "a-", "1a", "a1"}
	return &claim{
		UserID: text(14), Email: text(4),
		Timestamp: []byte(times[random.IntN(len(times))]), Nonce: []byte(nonces[random.IntN(len(nonces))]),
	}
}

// TestMessageUnambiguous: of an accepted template, no two claims have one
// message, but where a timestamp can be read as seconds and as milliseconds;
// and of those two at most one is both well shaped and fresh.
func TestMessageUnambiguous(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	accepted, refused, several, caught := 0, 0, 0, 0
	for range 4000 {
		text := randomTemplate(random)
		m, err := parseMessage(text, propertyNonce)
		if err != nil {
			refused++
			continue
		}
		accepted++
		for range 20 {
			c := randomClaim(random)
			found := readings(&m, m.Append(nil, c))
			if len(found) > 1 {
				several++
				caught += checkTwoReadings(t, &m, found)
			}
		}
	}
	if accepted < 500 || refused < 500 || several < 100 || caught < 20 {
		t.Fatalf("too few to say anything: %d templates accepted, %d refused, %d messages with several readings, %d of them fresh twice", accepted, refused, several, caught)
	}
}

// checkTwoReadings returns 1 where two readings are fresh at the same time.
func checkTwoReadings(t *testing.T, m *message, found []claim) (caught int) {
	t.Helper()
	widths := map[int]bool{}
	for i := range found {
		widths[len(found[i][Timestamp])] = true
	}
	if len(found) > 2 || len(widths) != len(found) || !m.timestampAdjacent {
		t.Fatalf("%q: one message has the readings %q", m.text, found)
	}
	for i := range found {
		at, _ := parseTimestamp(found[i][Timestamp])
		v := compiled(t, Dialect{Message: m.text, NonceLength: m.nonce, MaxAge: time.Minute, Skew: time.Minute})
		v.dialect.Time = func() time.Time { return at }
		passed, fresh := 0, 0
		for k := range found {
			if own, _ := parseTimestamp(found[k][Timestamp]); v.fresh(own) {
				fresh++
				r := sent(found[k])
				r.Text(Place{Field: Signature}, []byte("-"))
				if err := v.shape(r); err == nil {
					passed++
				} else if !errors.Is(err, ErrMalformed) {
					t.Errorf("%q: %v", m.text, err)
				}
			}
		}
		if fresh == 2 && passed > 0 {
			t.Fatalf("%q: of the readings %q both are fresh, and pass", m.text, found)
		}
		if fresh == 2 {
			caught = 1
		}
	}
	return caught
}

// TestRefusedMessages shows that templates are not refused for nothing.
func TestRefusedMessages(t *testing.T) {
	for _, test := range []struct {
		text string
		a, b claim
	}{
		{"{user_id}{email}", claim{UserID: []byte("ab"), Email: []byte("c")}, claim{UserID: []byte("a"), Email: []byte("bc")}},
		{"{user_id}:{email}", claim{UserID: []byte("a:b"), Email: []byte("c")}, claim{UserID: []byte("a"), Email: []byte("b:c")}},
		{
			"{user_id}\n{timestamp}{email}",
			claim{UserID: []byte("a"), Timestamp: []byte(fmt.Sprint(twoFresh)), Email: []byte("123x")},
			claim{UserID: []byte("a"), Timestamp: []byte(fmt.Sprint(twoFresh, "123")[:10] + "123"), Email: []byte("x")},
		},
	} {
		if _, err := parseMessage(test.text, propertyNonce); err == nil {
			t.Errorf("%q is accepted", test.text)
		}
		var m message
		m.text = test.text
		for _, piece := range strings.SplitAfter(strings.ReplaceAll(test.text, "{", "}{"), "}") {
			piece = strings.TrimSuffix(piece, "}")
			if name, ok := strings.CutPrefix(piece, "{"); ok {
				f, _ := parseField(name)
				m.parts = append(m.parts, part{field: f})
			} else if piece != "" {
				m.parts = append(m.parts, part{literal: []byte(piece)})
			}
		}
		if a, b := m.Append(nil, &test.a), m.Append(nil, &test.b); !bytes.Equal(a, b) {
			t.Errorf("%q: %q and %q differ", test.text, a, b)
		}
	}
}
