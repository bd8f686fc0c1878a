package diagnose

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// variant is a text as someone may have used it, and what was done differently
// to get it: nothing for the right one, which is the first of each list.
type variant struct {
	text       []byte
	deviations []deviation
	// usual variants are also tried together with those of another list.
	usual bool
}

// variants collects texts, each once, under the first explanation of it.
type variants struct {
	list []variant
	seen map[string]bool
}

func (v *variants) add(text []byte, usual bool, deviations ...deviation) {
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	if !v.seen[string(text)] {
		v.seen[string(text)] = true
		v.list = append(v.list, variant{text, deviations, usual})
	}
}

// rewriting is a way in which a user id gets another text on its way to the
// HMAC. It returns nothing where the way does not apply.
type rewriting struct {
	id    string
	did   string // %s stands for what it was done to
	fix   string // of a user id; "" is to sign what is sent
	texts func(text string) []string
	// message marks what happens to a message of several parts as a whole, too,
	// substitute what happens to another text that is signed as the user id.
	message, substitute bool
}

var rewritings = []rewriting{
	{id: "newline", did: "a newline was signed after %s", message: true, substitute: true, texts: func(text string) []string {
		return []string{text + "\n", text + "\r\n"}
	}},
	{id: "trimmed", did: "%s was signed without the spaces or newlines around it", fix: "send it without them", substitute: true, texts: each(strings.TrimSpace)},
	{id: "blanks", did: "spaces were signed around %s", message: true, substitute: true, texts: func(text string) []string {
		return []string{text + " ", " " + text, " " + text + " ", text + "\t", "\n" + text, text + "\r"}
	}},
	{id: "upper_case", did: "%s was signed in upper case", substitute: true, texts: each(strings.ToUpper)},
	{id: "lower_case", did: "%s was signed in lower case", substitute: true, texts: each(strings.ToLower)},
	{id: "quoted", did: "%s was signed as a JSON text, with its quotation marks", message: true, texts: func(text string) []string {
		quoted := claimjson.Quote(text)
		return []string{string(quoted), string(claimjson.AppendASCII(nil, quoted)), "'" + text + "'"}
	}},
	{id: "json_escaped", did: "%s was signed with JSON's escapes", texts: func(text string) []string {
		quoted := claimjson.AppendASCII(nil, claimjson.Quote(text))
		return []string{string(quoted[1 : len(quoted)-1]), strings.ReplaceAll(text, "/", `\/`)}
	}},
	{id: "fraction", did: "%s was signed as a number with a fraction", texts: func(text string) []string {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || strconv.FormatInt(n, 10) != text {
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
func (r *rewriting) done(prefix, thing, fix string) deviation {
	return deviation{prefix + r.id, strings.Replace(r.did, "%s", thing, 1), fix}
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
func (p *format) signRight() string {
	template := p.template
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
func (p *format) messageVariants(c *claim, document []byte) []variant {
	right := p.signRight()
	var v variants
	v.add(p.message(c), true)

	with := func(f verifier.Field, text string) []byte {
		changed := *c
		changed[f] = []byte(text)
		return p.message(&changed)
	}
	substitutes := p.substitutes(c)
	for _, s := range substitutes {
		v.add(with(verifier.UserID, s.text), true, deviation{s.id, s.did, right})
	}
	for _, r := range rewritings {
		for _, text := range r.texts(string(c[verifier.UserID])) {
			v.add(with(verifier.UserID, text), true, r.done("id_", "the user id", cmp.Or(r.fix, right)))
		}
		if !r.message || len(p.parts) == 1 {
			continue
		}
		for _, text := range r.texts(string(p.message(c))) {
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
				v.add(with(verifier.UserID, text), false, deviation{s.id, s.did, right}, r.done("id_", "it", right))
			}
		}
	}
	return v.list
}

// substitute is another text of the claim that is signed as the user id.
type substitute struct{ id, did, text string }

func (p *format) substitutes(c *claim) []substitute {
	var found []substitute
	id, email, name := string(c[verifier.UserID]), "", ""
	if withinDiagnosis(c[verifier.Email]) {
		email = string(c[verifier.Email])
	}
	if withinDiagnosis(c[verifier.Name]) {
		name = string(c[verifier.Name])
	}
	if email != "" {
		found = append(found, substitute{"email_signed", "the e-mail address was signed instead of the user id", email})
	}
	if name != "" {
		found = append(found, substitute{"name_signed", "the name was signed instead of the user id", name})
	}
	if email != "" && !p.signs(verifier.Email) {
		for _, text := range []string{id + email, email + id, id + ":" + email, id + "|" + email, id + "\n" + email, id + "." + email} {
			found = append(found, substitute{"id_and_email_signed", "the user id was signed together with the e-mail address", text})
		}
	}
	return found
}
