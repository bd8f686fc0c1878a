package diagnose

import "strings"

// rule is a way in which a text becomes another one before it is used: the secret before
// it is the key, the user id before it is signed. All tables of them are data.
type rule struct {
	id, did, fix string // of the deviation
	also         with
	texts        func(text string) []string // none if it does not apply
}

// with says what else a rule is tried with.
type with uint8

const (
	// pairs are tried together with the common deviations of other things.
	pairs with = 1 << iota
	// messages happens to a message of several parts as a whole, too.
	messages
	// substitutes happens to another text that is signed as the user id.
	substitutes
)

// variant is a text as someone may have used it, and what was done differently
// to get it: nothing for the right one, which is the first of each list.
type variant struct {
	text       []byte
	deviations []deviation
	common     bool // also tried together with those of another list
}

// common returns the variants that are tried in pairs.
func common(all []variant) (some []variant) {
	for _, v := range all[1:] {
		if v.common {
			some = append(some, v)
		}
	}
	return some
}

// variants collects texts, each once, under the first explanation of it.
type variants struct {
	list []variant
	seen map[string]bool
}

func (v *variants) add(text string, common bool, deviations ...deviation) {
	if v.seen == nil {
		v.seen = make(map[string]bool)
	}
	if !v.seen[text] {
		v.seen[text] = true
		v.list = append(v.list, variant{[]byte(text), deviations, common})
	}
}

// each applies functions to a text.
func each(rewrites ...func(string) string) func(string) []string {
	return func(text string) (texts []string) {
		for _, rewrite := range rewrites {
			texts = append(texts, rewrite(text))
		}
		return texts
	}
}

// always returns the same texts whatever the text.
func always(texts ...string) func(string) []string {
	return func(string) []string { return texts }
}

// around returns texts in which % stands for the text.
func around(patterns ...string) func(string) []string {
	return func(text string) (texts []string) {
		for _, p := range patterns {
			texts = append(texts, strings.Replace(p, "%", text, 1))
		}
		return texts
	}
}

// unwrap removes what programs write around a text when they print or store it.
func unwrap(text string) string {
	for _, pair := range [...][2]string{{"b'", "'"}, {`b"`, `"`}, {`"`, `"`}, {"'", "'"}, {"`", "`"}, {"“", "”"}, {`\"`, `\"`}} {
		if inner, ok := strings.CutPrefix(text, pair[0]); ok {
			if inner, ok = strings.CutSuffix(inner, pair[1]); ok {
				return inner
			}
		}
	}
	return text
}
