package claimform_test

import (
	"bytes"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// needSeeds fails without a corpus in the repository.
func needSeeds(f *testing.F) {
	f.Helper()
	seeds, err := os.ReadDir(filepath.Join("testdata", "fuzz", f.Name()))
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
}

// checkHits checks what holds for every reading, and returns the single plain
// value of each watched name that has no other match.
func checkHits(t *testing.T, raw []byte, matches []claimform.Match) map[string]string {
	t.Helper()
	plain, count := make(map[string]string), make(map[string]int)
	at := 0
	for _, match := range matches {
		if match.Span.Start < at || match.Span.End <= match.Span.Start || match.Span.End > len(raw) {
			t.Fatalf("%q: spans not in order: %v", raw, matches)
		}
		at = match.Span.End
		name := watched[match.Name]
		count[name]++
		if !match.Variant && match.Err == nil {
			plain[name] = string(match.Value)
		}
	}
	for name, n := range count {
		if n > 1 {
			delete(plain, name)
		}
	}
	return plain
}

func more(matches *claimform.Matches) bool {
	for i := range watched {
		if matches.More(i) {
			return true
		}
	}
	return false
}

// others returns a query's segments in order, as Go reads them, without those
// of watched names.
func others(raw string) (list []field) {
	for segment := range strings.SplitSeq(raw, "&") {
		values, err := url.ParseQuery(segment)
		if err != nil || segment == "" {
			continue
		}
		for name, value := range values {
			if !slices.Contains(watched, name) {
				list = append(list, field{name, &value[0]})
			}
		}
	}
	return list
}

func FuzzURLEncoded(f *testing.F) {
	needSeeds(f)
	for i, body := range formBodies() {
		if i%20 == 0 {
			f.Add(body, i%40 == 0)
		}
	}
	names := compile(watched...)
	f.Fuzz(func(t *testing.T, raw []byte, strict bool) {
		var matches, again claimform.Matches
		if claimform.URLEncoded(raw, names, strict, &matches) != nil || more(&matches) {
			return
		}
		plain := checkHits(t, raw, matches.List)
		values, _ := url.ParseQuery(string(raw))
		for i, name := range watched {
			value, ok := plain[name]
			found := slices.ContainsFunc(matches.List, func(match claimform.Match) bool { return match.Name == i })
			if ok && (len(values[name]) != 1 || values[name][0] != value) {
				t.Errorf("%q: %q is %q for Go, not %q", raw, name, values[name], value)
			}
			if !found && len(values[name]) > 0 {
				t.Errorf("%q: %q is %q for Go", raw, name, values[name])
			}
		}

		left := cutHits(raw, matches.List, every)
		if err := claimform.URLEncoded(left, names, strict, &again); err != nil || len(again.List) > 0 {
			t.Errorf("%q: cut to %q: %v, %v", raw, left, again.List, err)
		}
		// Only a segment that ';' splits leaves something of itself.
		if !bytes.Contains(raw, []byte(";")) {
			rest := slices.DeleteFunc(others(string(raw)), func(o field) bool {
				err := claimform.URLEncoded([]byte(url.QueryEscape(o.name)), names, false, &again)
				return err == nil && len(again.List) > 0
			})
			if got := others(string(left)); describe(got) != describe(rest) {
				t.Errorf("%q: cut to %q: others are %s, were %s", raw, left, describe(got), describe(rest))
			}
		}
		// Each match may be cut alone. What ';' no longer splits is read, and may be refused.
		for k := range matches.List {
			one := cutHits(raw, matches.List[k:k+1], every)
			err := claimform.URLEncoded(one, names, strict, &again)
			if err != nil && bytes.Contains(raw, []byte(";")) {
				continue
			}
			if err != nil || len(again.List) != len(matches.List)-1 {
				t.Errorf("%q: without match %d %q: %v, %v", raw, k, one, again.List, err)
			}
		}
	})
}

func FuzzMultipart(f *testing.F) {
	needSeeds(f)
	for i, c := range multipartBodies() {
		if i%20 == 0 {
			f.Add(c.body, c.boundary)
		}
	}
	names := compile(watched...)
	f.Fuzz(func(t *testing.T, raw []byte, boundary string) {
		var matches, again claimform.Matches
		err := readMultipart(raw, boundary, names, &matches)
		m := claimform.NewMultipart(boundary, names, nameStands, math.MaxInt64, &again)
		for piece := range slices.Chunk(raw, 1+len(raw)%5) {
			m.Write(piece)
		}
		if got := m.Close(); !reflect.DeepEqual(got, err) || !reflect.DeepEqual(again.List, matches.List) {
			t.Errorf("%q: at once %v, %v, in pieces %v, %v", raw, err, matches.List, got, again.List)
		}
		if err != nil || more(&matches) {
			return
		}
		plain := checkHits(t, raw, matches.List)
		fields, ok := goMultipart(raw, boundary)
		if !ok {
			return
		}
		for i, name := range watched {
			value, single := plain[name]
			found := slices.ContainsFunc(matches.List, func(match claimform.Match) bool { return match.Name == i })
			values := under(fields, name)
			if single && (len(values) != 1 || values[0].value == nil || *values[0].value != value) {
				t.Errorf("%q: %q is %s for Go, not %q", raw, name, describe(values), value)
			}
			if !found && len(values) > 0 {
				t.Errorf("%q: %q is %s for Go", raw, name, describe(values))
			}
		}

		left := cutHits(raw, matches.List, every)
		if err := readMultipart(left, boundary, names, &again); err != nil || len(again.List) > 0 {
			t.Errorf("%q: cut to %q: %v, %v", raw, left, again.List, err)
		}
		if len(matches.List) > 0 {
			rest, ok := goMultipart(left, boundary)
			if !ok {
				t.Fatalf("%q: cut to %q, which Go refuses", raw, left)
			}
			if len(rest) != len(fields)-len(matches.List) || !isSubsequence(rest, fields) {
				t.Errorf("%q: cut to %q: others are %s, were %s", raw, left, describe(rest), describe(fields))
			}
		}
		for k := range matches.List {
			one := cutHits(raw, matches.List[k:k+1], every)
			if err := readMultipart(one, boundary, names, &again); err != nil || len(again.List) != len(matches.List)-1 {
				t.Errorf("%q: without match %d %q: %v, %v", raw, k, one, again.List, err)
			}
		}
	})
}

func isSubsequence(list, of []field) bool {
	for _, f := range of {
		if len(list) > 0 && describe(list[:1]) == describe([]field{f}) {
			list = list[1:]
		}
	}
	return len(list) == 0
}

// FuzzNames compares what is found with what the rules say.
func FuzzNames(f *testing.F) {
	needSeeds(f)
	for _, name := range formNames {
		f.Add([]byte(name), "user_id")
	}
	f.Fuzz(func(t *testing.T, raw []byte, watched string) {
		name, err := url.QueryUnescape(string(raw))
		if err != nil || bytes.ContainsAny(raw, "=&;\x00") || !utf8.ValidString(name) || !utf8.ValidString(watched) || strings.Contains(watched, "\x00") {
			return
		}
		want := normal(watched)
		if len(want) == 0 || len(watched) > 100 || strings.ContainsRune(name+watched, utf8.RuneError) {
			return // found in no other spelling
		}
		var matches claimform.Matches
		if err := claimform.URLEncoded(raw, compile(watched), false, &matches); err != nil {
			t.Fatal(err)
		}
		upToNUL, _, _ := strings.Cut(name, "\x00")
		if got := len(matches.List) > 0; got != taken([]rune(upToNUL), want) {
			t.Errorf("%q for %q: found %v", raw, watched, got)
		} else if got && matches.List[0].Err == nil && matches.List[0].Variant != (name != watched) {
			t.Errorf("%q for %q: %+v", raw, watched, matches.List[0])
		}
	})
}

// normal returns a name as names are compared, but for letter case.
func normal(name string) []rune {
	name = strings.TrimRightFunc(strings.TrimLeftFunc(name, ignored), blank)
	return []rune(strings.Map(func(r rune) rune {
		if underscore(r) || r == '[' {
			return '_'
		}
		return r
	}, name))
}

func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) && r < 0x80 || r == 0xfeff
}

func ignored(r rune) bool { return blank(r) || strings.ContainsRune("[]?", r) }

func underscore(r rune) bool { return r == '_' || r == '.' || blank(r) }

// taken reports whether some parser takes a name for the wanted one.
func taken(name, want []rune) bool {
	for i, r := range name {
		if r == '[' && alike(name[:i], want, true) || r == ']' && alike(name[:i], want, false) {
			return true
		}
	}
	return alike(name, want, true)
}

// alike reports whether a name is the wanted one, but for what may stand in front of
// it and blanks behind. If brackets is set, '[' is an underscore.
func alike(name, want []rune, brackets bool) bool {
	for marks := "!_."; ; name = name[1:] {
		if len(name) < len(want) {
			return false
		}
		same := true
		for i, r := range want {
			same = same && (strings.EqualFold(string(name[i]), string(r)) || r == '_' && (underscore(name[i]) || name[i] == '[' && brackets))
		}
		if same && strings.TrimFunc(string(name[len(want):]), blank) == "" {
			return true
		}
		switch {
		case ignored(name[0]):
		case name[0] == '!' && marks == "!_.":
			marks = "_."
		case strings.ContainsRune("_.", name[0]) && marks != "":
			marks = ""
		default:
			return false
		}
	}
}
