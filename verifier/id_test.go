package verifier

import (
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func canonical(id string) string { return string(appendCanonicalID(nil, []byte(id))) }

func TestCanonicalID(t *testing.T) {
	long := "1" + strings.Repeat("0", maxID-1)
	for want, ids := range map[string][]string{
		"conv1": {"conv1", "CONV1", "Conv1"},
		"42": {
			"42", "042", "42.0", "42e0", "4.2e1", "4.2E+1", "420e-1", "0042.000", "0.42e2", "42.00000000000000000001",
			"4200000000000000000000e-20", "0.000000000000000000000000000042e30", "42e000000000000000000000",
		},
		"0":                    {"0", "-0", "00", "0.0", "-0.0e5", "0e99999999999", "1e-400", "-1e-99999999999999999999", "0." + strings.Repeat("0", 250)},
		"-7":                   {"-7", "-07", "-7.0", "-70e-1"},
		"1234567890123456789":  {"1234567890123456789", "1234567890123456789.0", "1.234567890123456789e18"},
		"1234567890123456790":  {"1234567890123456790"},
		"9007199254740993":     {"9007199254740993", "9007199254740993.000"},
		"9007199254740994":     {"9007199254740993.5"}, // as a float64
		"1503435956.000247":    {"1503435956.000247", "1503435956.0002470", "1.503435956000247e9"},
		"1503435956.000248":    {"1503435956.000248"},
		"0.1":                  {"0.1", "0.10000000000000000001", "1e-1"},
		long:                   {long, "1e254", "0.1e255"},
		"+Inf":                 {"1e309", "1e9999999999", strings.Repeat("9", 60) + "e300"},
		"-Inf":                 {"-1e309"},
		"inf":                  {"inf", "Inf"},
		"+42":                  {"+42"}, // not of the form
		"42.":                  {"42."},
		".5":                   {".5"},
		"42e":                  {"42e", "42E"},
		"4.2.1":                {"4.2.1"},
		"550e8400-e29b":        {"550e8400-e29b", "550E8400-E29B"},
		"--1":                  {"--1"},
		"-":                    {"-"},
		"!og:m.org":            {"!OG:m.org"},
		"0" + long:             {"0" + long}, // longer than an id
		"":                     {""},
		"1e5x":                 {"1e5x"},
		"19:meeting@thread.v2": {"19:meeting@thread.v2"},
	} {
		for _, id := range ids {
			if got := canonical(id); got != want {
				t.Errorf("%s: %s, want %s", id, got, want)
			}
		}
	}
}

func TestValidID(t *testing.T) {
	for _, id := range []string{
		"550e8400-e29b-41d4-a716-446655440000", "-NabcXYZ_123", "urn:uuid:550e8400-e29b", "Q29udmVyc2F0aW9uOjE=", "!OGEhHVWSdvArJzumhm:matrix.org",
		"room@conference.example.com", "19:meeting_MjdhNj@thread.v2", "a/b", "$event:host", "it's(1)*2+3,4;5&6", strings.Repeat("c", 255), "~a",
	} {
		if !validID([]byte(id)) {
			t.Errorf("%s is refused", id)
		}
	}
	for _, id := range []string{strings.Repeat("c", 256), "a b", "ü", `a"b`, "a%20b", "a\x00", "a?b", "a#b", "{a}", "a<b", `a\b`, "a|b", "a^b", "[a]", "a`b", "a\t"} {
		if validID([]byte(id)) {
			t.Errorf("%s is an id", id)
		}
	}
}

func TestNumberID(t *testing.T) {
	for _, token := range []string{"42", "42.0", "4.2e1", "-0", "0", "1503435956.000247", "9007199254740991", "-9007199254740991", "9007199254740991.0", "1e15", "1e-400"} {
		if !numberID([]byte(token)) {
			t.Errorf("%s is refused", token)
		}
	}
	for _, token := range []string{"9007199254740992", "-9007199254740992", "9007199254740993", "9007199254740991.9", "1e16", "1e400", "1e99999999999", "-1e309"} {
		if numberID([]byte(token)) {
			t.Errorf("%s is an id", token)
		}
	}
}

var numerals = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// valueOf is what the number says: exactly for an integer of at most so many digits
// as an id has, else as a float64; nil where that is infinite.
func valueOf(id string) *big.Rat {
	exact, ok := new(big.Rat).SetString(id)
	if !ok {
		panic(id)
	}
	if exact.IsInt() && len(strings.TrimPrefix(exact.Num().String(), "-")) <= maxID {
		return exact
	}
	value, _ := exact.Float64()
	if math.IsInf(value, 0) {
		return nil
	}
	return new(big.Rat).SetFloat64(value)
}

// FuzzCanonicalID compares ids by their canonical forms and by what math/big says.
func FuzzCanonicalID(f *testing.F) {
	for _, pair := range [][2]string{
		{"42", "042"}, {"42.0", "4.2e1"}, {"-0", "0.00"}, {"Conv", "cONV"}, {"1e254", "1e255"}, {"9007199254740993.5", "9007199254740994"},
		{"1234567890123456789", "1234567890123456790"}, {"5e-324", "2e-324"}, {"1e300", "1.00000000000000000000000001e300"}, {"inf", "1e309"}, {"4e2", "4E2"},
		{"1503435956.000247", "1503435956.0002470000000000001"}, {"0.1", "1e-1"}, {"+1", "1"}, {"1.", "1"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(compareIDs)
}

// TestCanonicalIDOfShortNumbers compares numbers that are often the same.
func TestCanonicalIDOfShortNumbers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	digits := func(least, most int) (text string) {
		for range least + random.IntN(most-least+1) {
			text += string("0125"[random.IntN(4)])
		}
		return text
	}
	number := func() string {
		text := []string{"", "-"}[random.IntN(2)] + digits(1, 3)
		if random.IntN(2) == 0 {
			text += "." + digits(1, 3)
		}
		if random.IntN(2) == 0 {
			text += []string{"e", "E", "e+", "e-"}[random.IntN(4)] + digits(1, 1)
		}
		return text
	}
	for range 100_000 {
		compareIDs(t, number(), number())
	}
}

var (
	plain = regexp.MustCompile(`^(-?[1-9][0-9]*|0)$`)
	far   = regexp.MustCompile(`[eE][+-]?0*[1-9][0-9]{3,}$`) // math/big would write such a number out
)

// compareIDs checks whether two ids have one canonical form just where they are the same.
func compareIDs(t *testing.T, a, b string) {
	if !validID([]byte(a)) || !validID([]byte(b)) || a == "" || b == "" || far.MatchString(a) || far.MatchString(b) {
		return
	}
	var want bool
	switch numberA, numberB := numerals.MatchString(a), numerals.MatchString(b); {
	case numberA && numberB:
		x, y := valueOf(a), valueOf(b)
		want = x != nil && y != nil && x.Cmp(y) == 0 || x == nil && y == nil && (a[0] == '-') == (b[0] == '-')
	case !numberA && !numberB:
		want = strings.EqualFold(a, b) // both are ASCII
	}
	if got := canonical(a) == canonical(b); got != want || sameID([]byte(a), []byte(b)) != want {
		t.Errorf("%s is %s, %s is %s, same: %t, want %t", a, canonical(a), b, canonical(b), got, want)
	}
	if plain.MatchString(a) && canonical(a) != a {
		t.Errorf("%s is %s", a, canonical(a))
	}
}

func TestCanonicalIDAllocates(t *testing.T) {
	room := make([]byte, 0, maxID)
	for _, id := range []string{"550e8400-e29b-41d4-a716-446655440000", "1234567890123456789"} {
		if n := testing.AllocsPerRun(100, func() { room = appendCanonicalID(room[:0], []byte(id)) }); n > 0 {
			t.Errorf("%s: %v", id, n)
		}
	}
}
