package diagnose

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// rewritings are what happens to a user id on its way to the HMAC: in did, %s stands for
// what it happened to. The fix "" is to sign what is sent.
var rewritings = []rule{
	{"crlf", "%s was signed with CR LF, or the two characters \\n, in the place of each newline", "", messages, each(strings.NewReplacer("\n", "\r\n").Replace, strings.NewReplacer("\n", `\n`).Replace)},
	{"newline", "a newline was signed after %s", "", messages | substitutes, around("%\n", "%\r\n")},
	{"trimmed", "%s was signed without the spaces or newlines around it", "send it without them", substitutes, each(strings.TrimSpace)},
	{"spaces", "spaces or newlines were signed around %s", "", messages, around("% ", " %", " % ", "%\t", "\t%", "\n%", "%\r", "%\n\n", "%\r\n\r\n", "% \n")},
	{"escape", "a newline was signed after %s as the two characters \\n", "", messages, around(`%\n`)},
	{"upper_case", "%s was signed in upper case", "", substitutes, each(strings.ToUpper)},
	{"lower_case", "%s was signed in lower case", "", substitutes, each(strings.ToLower)},
	{"quoted", "%s was signed as a JSON text, with its quotation marks", "", messages, quoted},
	{"bytes_printed", "%s was signed as a program prints bytes, such as b'…'", "", messages, bytesPrinted},
	{"json_escaped", "%s was signed with JSON's escapes", "", 0, escaped},
	{"fraction", "%s was signed as a number with a fraction", "", 0, around("%.0", "%.00")},
	{"leading_zeros", "%s was signed as a number, without its leading zeros", "", 0, each(withoutZeros)},
	{"rounded", "%s was signed as a number that does not hold all its digits", "", 0, rounded},
	{"html_escaped", "%s was signed as HTML writes it, such as &amp; for &", "", 0, htmlEscaped},
	{"uuid", "%s was signed as a UUID in another notation, with or without its dashes", "", 0, uuids},
	{"url_encoded", "%s was signed percent-encoded", "", messages, each(url.QueryEscape, url.PathEscape, encodeURIComponent, lowerEscaped)},
	{"url_decoded", "%s was sent percent-encoded and signed as it was before", "encode it once, where it becomes part of a URL, and not in a body", 0, decoded},
	{"charset", "%s was signed in another charset than UTF-8, or with a byte order mark", "", 0, otherCharsets},
	{"encoded", "%s was signed encoded in base64 or hex", "", messages, each(toBase64, func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }, toHex)},
	{"normalized", "%s was signed in another Unicode normalization", "", 0, each(norm.NFC.String, norm.NFD.String, norm.NFKC.String)},
	{"missing", "an empty text, or what a program prints for a missing value or an object, was signed instead of %s", "", 0,
		always("", "undefined", "null", "None", "nil", "NaN", "0", "-1", "false", "[object Object]", "[object Promise]", "Array", "Object")},
	{"placeholder", "the name of a variable was signed instead of %s, since no program filled it in", "", 0,
		always("user_id", "userId", "USER_ID", "id", "{user_id}", "{{user_id}}", "${user_id}", "$user_id", "#{user_id}", "#{user.id}", "${user.id}", "$user->id", "user.id", "<user_id>", "%s")},
}

// done says that the rewriting was done to a thing.
func (r *rule) done(prefix, thing, fix string) deviation {
	return deviation{prefix + r.id, strings.Replace(r.did, "%s", thing, 1), fix}
}

func quoted(text string) []string {
	json := claimjson.Quote(text)
	return []string{string(json), string(claimjson.AppendASCII(nil, json)), "'" + text + "'"}
}

// bytesPrinted returns bytes as Python and Go print them.
func bytesPrinted(text string) []string {
	return []string{"b'" + text + "'", `b"` + text + `"`, fmt.Sprint([]byte(text))}
}

func escaped(text string) []string {
	json := claimjson.AppendASCII(nil, claimjson.Quote(text))
	return []string{string(json[1 : len(json)-1]), strings.ReplaceAll(text, "/", `\/`)}
}

func withoutZeros(text string) string {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return strconv.FormatUint(n, 10)
	}
	return text
}

// rounded returns an integer as JavaScript and PHP have it, as a double.
func rounded(text string) []string {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil
	}
	return []string{strconv.FormatFloat(float64(n), 'f', -1, 64), strconv.FormatFloat(float64(n), 'f', 0, 64)}
}

func htmlEscaped(text string) []string {
	escaped := html.EscapeString(text)
	named := strings.ReplaceAll(escaped, "&#34;", "&quot;")
	return []string{escaped, named, strings.ReplaceAll(named, "&#39;", "&#039;"), strings.ReplaceAll(named, "&#39;", "&#x27;")}
}

// uuids returns a UUID without dashes and with them, in braces, and with the other case.
func uuids(text string) []string {
	digits := strings.ReplaceAll(strings.Trim(strings.TrimPrefix(text, "urn:uuid:"), "{}"), "-", "")
	if len(digits) != 32 || !isHex(digits) {
		return nil
	}
	dashed := digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
	all := []string{digits, dashed, "{" + dashed + "}", "urn:uuid:" + dashed}
	return append(all, each(strings.ToLower, strings.ToUpper)(digits+" "+dashed)...)
}

func encodeURIComponent(text string) string {
	return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(text))
}

// lowerEscaped is percent encoding as .NET does it, with lower-case digits.
func lowerEscaped(text string) string {
	encoded := []byte(url.QueryEscape(text))
	for i := 0; i+2 < len(encoded); i++ {
		if encoded[i] == '%' {
			copy(encoded[i:], strings.ToLower(string(encoded[i:i+3])))
		}
	}
	return string(encoded)
}

func decoded(text string) (texts []string) {
	for _, decode := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if plain, err := decode(text); err == nil {
			texts = append(texts, plain)
		}
	}
	return texts
}

// otherCharsets returns the id in Latin-1, where it fits, in UTF-16 of both
// byte orders and in UTF-8 after a byte order mark. In ASCII alone Latin-1 is
// what UTF-8 is.
func otherCharsets(id string) []string {
	texts := []string{"\ufeff" + id}
	if latin, ok := asBytes(id); ok {
		texts = append(texts, string(latin))
	}
	var little, big []byte
	for _, unit := range utf16.Encode([]rune(id)) {
		little = append(little, byte(unit), byte(unit>>8))
		big = append(big, byte(unit>>8), byte(unit))
	}
	return append(texts, string(little), string(big))
}

// asBytes returns a byte for each character, if all are in Latin-1.
func asBytes(text string) (latin []byte, ok bool) {
	for _, r := range text {
		if r > 0xff {
			return nil, false
		}
		latin = append(latin, byte(r))
	}
	return latin, true
}

// withinDiagnosis reports whether a field is short enough to be looked at.
func withinDiagnosis(value []byte) bool {
	return len(value) <= maxDiagnosed || utf8.RuneCount(value) <= maxDiagnosed && len(value) <= utf8.UTFMax*maxDiagnosed
}

// signRight is what to do instead of signing anything else.
func (p *format) signRight() string {
	template := p.template
	if template == "{user_id}" {
		return "sign the " + p.subject + " alone, byte for byte as it is sent"
	}
	if strings.ContainsFunc(template, func(r rune) bool { return !strconv.IsPrint(r) }) {
		template = strconv.Quote(template)
	}
	return "sign " + template + ", each part byte for byte as it is sent"
}

// messageVariants returns what signers sign in place of the message, the
// message itself first and then in the order of how much was done differently.
func (p *format) messageVariants(c *claim, e *Evidence) []variant {
	right := p.signRight()
	var v variants
	message := string(p.message(c))
	v.add(message, false)

	with := func(f verifier.Field, text string) string {
		changed := *c
		changed[f] = []byte(text)
		return string(p.message(&changed))
	}
	instead := p.substitutes(c)
	for _, s := range instead {
		v.add(with(verifier.UserID, s.text), true, deviation{s.id, s.did, right})
	}
	for i := range rewritings {
		r := &rewritings[i]
		for _, text := range r.texts(string(c[verifier.UserID])) {
			v.add(with(verifier.UserID, text), true, r.done("id_", "the "+p.subject, cmp.Or(r.fix, right)))
		}
		if r.also&messages == 0 || len(p.parts) == 1 {
			continue
		}
		for _, text := range r.texts(message) {
			v.add(text, true, r.done("message_", "the message", right))
		}
	}
	p.addArrangements(&v, c)
	p.addDocument(&v, c, e)
	for _, s := range instead {
		for i := range rewritings {
			r := &rewritings[i]
			if r.also&substitutes == 0 {
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

func (p *format) substitutes(c *claim) (found []substitute) {
	email, name := c[verifier.Email], c[verifier.Name]
	if len(email) > 0 && withinDiagnosis(email) && string(email) != string(c[verifier.UserID]) {
		found = append(found, substitute{"email_signed", "the e-mail address was signed instead of the " + p.subject, string(email)})
	}
	if len(name) > 0 && withinDiagnosis(name) {
		found = append(found, substitute{"name_signed", "the name was signed instead of the " + p.subject, string(name)})
	}
	if len(found) > 0 && found[0].id == "email_signed" && !p.signs(verifier.Email) {
		for _, text := range together(string(c[verifier.UserID]), string(email)) {
			found = append(found, substitute{"id_and_email_signed", "the " + p.subject + " was signed together with the e-mail address", text})
		}
	}
	return found
}

// together returns two texts as one, in both orders.
func together(a, b string) (texts []string) {
	for _, separator := range [...]string{"", ":", ".", "|", "\n", "-", "_"} {
		texts = append(texts, a+separator+b, b+separator+a)
	}
	return texts
}
