package sites

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// unclear reports whether two routes in that order can match the same request without the
// first being the more specific.
func unclear(first, second caddyhttp.MatcherSets) bool {
	switch {
	case len(second) == 0:
		return len(first) == 0
	case len(first) == 0:
		return true
	case len(first) == 1 && len(second) == 1:
		// Caddy sorts by these alone.
		a, b := listed[caddyhttp.MatchPath](first[0]), listed[caddyhttp.MatchPath](second[0])
		if len(a) == 1 && len(b) == 1 && a[0] != b[0] && contains(b[0], a[0]) {
			return false
		}
	}
	return mayMeet(first, second)
}

// covers reports whether a certainly matches every request that b matches.
func covers(a, b caddyhttp.MatcherSets) bool {
	if len(a) == 0 {
		return true
	}
	var prefixes []string
	for _, set := range a {
		if len(set) == 1 {
			prefixes = append(prefixes, listed[caddyhttp.MatchPath](set)...)
		}
	}
	for _, set := range b {
		paths := listed[caddyhttp.MatchPath](set)
		for _, p := range paths {
			if !slices.ContainsFunc(prefixes, func(prefix string) bool { return prefix == p || contains(prefix, p) }) {
				return false
			}
		}
		if len(paths) == 0 {
			return false
		}
	}
	return len(b) > 0
}

// disjoint reports whether certainly no request matches both.
func disjoint(a, b caddyhttp.MatcherSet) bool {
	return hostsApart(a, b) || allApart(listed[caddyhttp.MatchPath](a), listed[caddyhttp.MatchPath](b), meet) ||
		allApart(listed[caddyhttp.MatchMethod](a), listed[caddyhttp.MatchMethod](b), func(p, q string) bool { return p == q })
}

// hostsApart reports whether certainly no host matches both.
func hostsApart(a, b caddyhttp.MatcherSet) bool {
	return allApart(listed[caddyhttp.MatchHost](a), listed[caddyhttp.MatchHost](b), func(p, q string) bool {
		left, right := strings.Split(strings.ToLower(p), "."), strings.Split(strings.ToLower(q), ".")
		for i := range min(len(left), len(right)) {
			if left[i] != "*" && right[i] != "*" && left[i] != right[i] && !strings.Contains(p+q, "{") {
				return false
			}
		}
		return len(left) == len(right) || strings.Contains(p+q, "{")
	})
}

// allApart reports whether neither list is empty and no member of one meets any of the
// other.
func allApart(a, b []string, meet func(p, q string) bool) bool {
	for _, p := range a {
		if slices.ContainsFunc(b, func(q string) bool { return meet(p, q) }) {
			return false
		}
	}
	return len(a) > 0 && len(b) > 0
}

// lead returns the literal beginning of a pattern, and whether that is all of it.
func lead(pattern string) (string, bool) {
	end := strings.IndexAny(pattern, `*%?[\{`)
	if end < 0 {
		return pattern, true
	}
	return pattern[:end], false
}

// contains reports whether p certainly matches every path that q matches.
func contains(p, q string) bool {
	prefix, _ := lead(p)
	other, _ := lead(q)
	return p == prefix+"*" && strings.HasPrefix(other, prefix)
}

// meet reports whether two patterns may match the same path.
func meet(p, q string) bool {
	a, aWhole := lead(p)
	b, bWhole := lead(q)
	return a == b || !aWhole && strings.HasPrefix(b, a) || !bWhole && strings.HasPrefix(a, b)
}
