package verifier

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// variant is a text as someone may have used it, and what was done differently
// to get it: nothing for the right one, which is the first of each list.
type variant struct {
	text  []byte
	slips []slip
	// usual variants are also tried together with those of another list.
	usual bool
}

// variants collects texts, each once, under the first explanation of it.
type variants struct {
	list []variant
	seen map[string]bool
}

func (v *variants) add(text []byte, usual bool, slips ...slip) {
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	if !v.seen[string(text)] {
		v.seen[string(text)] = true
		v.list = append(v.list, variant{text, slips, usual})
	}
}

// rewriting is a way in which a user id gets another text on its way to the
// HMAC. It returns nothing where the way does not apply.
type rewriting struct {
	id    string
	did   string // %s stands for what it was done to
	texts func(text string) []string
	// message marks what happens to a message of several parts as a whole, too,
	// substitute what happens to another text that is signed as the user id.
	message, substitute bool
}

var rewritings = []rewriting{
	{id: "newline", did: "a line end was signed after %s", message: true, substitute: true, texts: func(text string) []string {
		return []string{text + "\n", text + "\r\n"}
	}},
	{id: "trimmed", did: "%s was signed without the blanks around it", substitute: true, texts: each(strings.TrimSpace)},
	{id: "blanks", did: "blanks were signed around %s", message: true, substitute: true, texts: func(text string) []string {
		return []string{text + " ", " " + text, " " + text + " ", text + "\t", "\n" + text, text + "\r"}
	}},
	{id: "upper_case", did: "%s was signed in upper case", substitute: true, texts: each(strings.ToUpper)},
	{id: "lower_case", did: "%s was signed in lower case", substitute: true, texts: each(strings.ToLower)},
	{id: "quoted", did: "%s was signed as a JSON text, with its quotation marks", message: true, texts: func(text string) []string {
		quoted := quote(text)
		return []string{string(quoted), string(appendASCII(nil, quoted)), "'" + text + "'"}
	}},
	{id: "json_escaped", did: "%s was signed with JSON's escapes", texts: func(text string) []string {
		quoted := appendASCII(nil, quote(text))
		return []string{string(quoted[1 : len(quoted)-1]), strings.ReplaceAll(text, "/", `\/`)}
	}},
	{id: "fraction", did: "%s was signed as a number with a fraction", texts: func(text string) []string {
		if !plainInteger([]byte(text)) {
			return nil
		}
		return []string{text + ".0", text + ".00"}
	}},
	{id: "url_encoded", did: "%s was signed percent-encoded", texts: each(url.QueryEscape, url.PathEscape)},
	{id: "url_decoded", did: "%s was signed percent-decoded", texts: func(text string) []string {
		decoded, err := url.PathUnescape(text)
		if err != nil {
			return nil
		}
		return []string{decoded}
	}},
	{id: "charset", did: "%s was signed in another charset than UTF-8, or with a byte order mark", texts: otherCharsets},
	{id: "encoded", did: "%s was signed encoded in base64 or hex", texts: func(text string) []string {
		plain := []byte(text)
		return []string{
			base64.StdEncoding.EncodeToString(plain), base64.RawURLEncoding.EncodeToString(plain), hex.EncodeToString(plain),
		}
	}},
	{id: "normalized", did: "%s was signed in another Unicode normalization", texts: each(norm.NFC.String, norm.NFD.String, norm.NFKC.String)},
	{id: "missing", did: "an empty text, or the word for a missing value, was signed instead of %s", texts: func(string) []string {
		return []string{"", "undefined", "null", "None", "nil", "0", "-1"}
	}},
}

// done says that the rewriting was done to a thing.
func (r *rewriting) done(prefix, thing, fix string) slip {
	return slip{prefix + r.id, strings.Replace(r.did, "%s", thing, 1), fix}
}

func each(rewrites ...func(string) string) func(string) []string {
	return func(text string) []string {
		var texts []string
		for _, rewrite := range rewrites {
			texts = append(texts, rewrite(text))
		}
		return texts
	}
}

// otherCharsets returns the id in Latin-1, where it fits, in UTF-16 of both
// byte orders and in UTF-8 after a byte order mark. In ASCII alone Latin-1 is
// what UTF-8 is.
func otherCharsets(id string) []string {
	texts := []string{"\ufeff" + id}
	var latin, little, big []byte
	for _, r := range id {
		if r > 0xff {
			latin = nil
			break
		}
		latin = append(latin, byte(r))
	}
	if latin != nil {
		texts = append(texts, string(latin))
	}
	for _, unit := range utf16.Encode([]rune(id)) {
		little = append(little, byte(unit), byte(unit>>8))
		big = append(big, byte(unit>>8), byte(unit))
	}
	return append(texts, string(little), string(big))
}

// withinDiagnosis reports whether a field is short enough to be looked at.
func withinDiagnosis(value []byte) bool {
	return len(value) <= maxDiagnosed || utf8.RuneCount(value) <= maxDiagnosed && len(value) <= utf8.UTFMax*maxDiagnosed
}

// signRight is what to do instead of signing anything else.
func (p *Policy) signRight() string {
	template := p.Message.text
	if template == "{user_id}" {
		return "sign the user id alone, byte for byte as it is sent"
	}
	if strings.ContainsFunc(template, func(r rune) bool { return !strconv.IsPrint(r) }) {
		template = strconv.Quote(template)
	}
	return "sign " + template + ", each part byte for byte as it is sent"
}

// messageVariants returns what signers sign in place of the message, the
// message itself first and then in the order of how much was done differently.
func (p *Policy) messageVariants(c *Claim, document []byte) []variant {
	right := p.signRight()
	m := &p.Message
	var v variants
	v.add(m.Append(nil, c), true)

	with := func(f Field, text string) []byte {
		changed := *c
		changed[f] = []byte(text)
		return m.Append(nil, &changed)
	}
	substitutes := p.substitutes(c)
	for _, s := range substitutes {
		v.add(with(UserID, s.text), true, slip{s.id, s.did, right})
	}
	for _, r := range rewritings {
		for _, text := range r.texts(string(c[UserID])) {
			v.add(with(UserID, text), true, r.done("id_", "the user id", right))
		}
		if !r.message || len(m.parts) == 1 {
			continue
		}
		for _, text := range r.texts(string(m.Append(nil, c))) {
			v.add([]byte(text), true, r.done("message_", "the message", right))
		}
	}
	p.addArrangements(&v, c)
	p.addDocuments(&v, c, document)
	for _, s := range substitutes {
		for _, r := range rewritings {
			if !r.substitute {
				continue
			}
			for _, text := range r.texts(s.text) {
				v.add(with(UserID, text), false, slip{s.id, s.did, right}, r.done("id_", "it", right))
			}
		}
	}
	return v.list
}

// substitute is another text of the claim that is signed as the user id.
type substitute struct{ id, did, text string }

func (p *Policy) substitutes(c *Claim) []substitute {
	var found []substitute
	id, email, name := string(c[UserID]), "", ""
	if withinDiagnosis(c[Email]) {
		email = string(c[Email])
	}
	if withinDiagnosis(c[Name]) {
		name = string(c[Name])
	}
	if email != "" {
		found = append(found, substitute{"email_signed", "the e-mail address was signed instead of the user id", email})
	}
	if name != "" {
		found = append(found, substitute{"name_signed", "the name was signed instead of the user id", name})
	}
	if email != "" && !p.Message.Signs(Email) {
		for _, text := range []string{id + email, email + id, id + ":" + email, id + "|" + email, id + "\n" + email, id + "." + email} {
			found = append(found, substitute{"id_and_email_signed", "the user id was signed together with the e-mail address", text})
		}
	}
	return found
}
