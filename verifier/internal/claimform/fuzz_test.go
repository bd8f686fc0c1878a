package claimform_test

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
// value of each watched name that has no other hit.
func checkHits(t *testing.T, raw []byte, hits []claimform.Hit) map[string]string {
	t.Helper()
	plain, count := make(map[string]string), make(map[string]int)
	at := 0
	for _, hit := range hits {
		if hit.Span.Start < at || hit.Span.End <= hit.Span.Start || hit.Span.End > len(raw) {
			t.Fatalf("%q: spans not in order: %v", raw, hits)
		}
		at = hit.Span.End
		name := watched[hit.Name]
		count[name]++
		if !hit.Variant && hit.Err == nil {
			plain[name] = string(hit.Value)
		}
	}
	for name, n := range count {
		if n > 1 {
			delete(plain, name)
		}
	}
	return plain
}

func more(hits *claimform.Hits) bool {
	for i := range watched {
		if hits.More(i) {
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
		var hits, again claimform.Hits
		if claimform.URLEncoded(raw, names, strict, &hits) != nil || more(&hits) {
			return
		}
		plain := checkHits(t, raw, hits.List)
		values, _ := url.ParseQuery(string(raw))
		for i, name := range watched {
			value, ok := plain[name]
			found := slices.ContainsFunc(hits.List, func(hit claimform.Hit) bool { return hit.Name == i })
			if ok && (len(values[name]) != 1 || values[name][0] != value) {
				t.Errorf("%q: %q is %q for Go, not %q", raw, name, values[name], value)
			}
			if !found && len(values[name]) > 0 {
				t.Errorf("%q: %q is %q for Go", raw, name, values[name])
			}
		}

		left := cutHits(raw, hits.List, every)
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
		// Each hit may be cut alone. What ';' no longer splits is read, and may be refused.
		for k := range hits.List {
			one := cutHits(raw, hits.List[k:k+1], every)
			err := claimform.URLEncoded(one, names, strict, &again)
			if err != nil && bytes.Contains(raw, []byte(";")) {
				continue
			}
			if err != nil || len(again.List) != len(hits.List)-1 {
				t.Errorf("%q: without hit %d %q: %v, %v", raw, k, one, again.List, err)
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
		var hits, again claimform.Hits
		if readMultipart(raw, boundary, names, &hits) != nil || more(&hits) {
			return
		}
		plain := checkHits(t, raw, hits.List)
		fields, ok := goMultipart(raw, boundary)
		if !ok {
			return
		}
		for i, name := range watched {
			value, single := plain[name]
			found := slices.ContainsFunc(hits.List, func(hit claimform.Hit) bool { return hit.Name == i })
			values := under(fields, name)
			if single && (len(values) != 1 || values[0].value == nil || *values[0].value != value) {
				t.Errorf("%q: %q is %s for Go, not %q", raw, name, describe(values), value)
			}
			if !found && len(values) > 0 {
				t.Errorf("%q: %q is %s for Go", raw, name, describe(values))
			}
		}

		left := cutHits(raw, hits.List, every)
		if err := readMultipart(left, boundary, names, &again); err != nil || len(again.List) > 0 {
			t.Errorf("%q: cut to %q: %v, %v", raw, left, again.List, err)
		}
		if len(hits.List) > 0 {
			rest, ok := goMultipart(left, boundary)
			if !ok {
				t.Fatalf("%q: cut to %q, which Go refuses", raw, left)
			}
			if len(rest) != len(fields)-len(hits.List) || !isSubsequence(rest, fields) {
				t.Errorf("%q: cut to %q: others are %s, were %s", raw, left, describe(rest), describe(fields))
			}
		}
		for k := range hits.List {
			one := cutHits(raw, hits.List[k:k+1], every)
			if err := readMultipart(one, boundary, names, &again); err != nil || len(again.List) != len(hits.List)-1 {
				t.Errorf("%q: without hit %d %q: %v, %v", raw, k, one, again.List, err)
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
