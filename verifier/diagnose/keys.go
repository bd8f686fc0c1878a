package diagnose

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const (
	useSecret = "use the secret's text as the key, as it is"
	setSecret = "set the secret in the signer's environment"
)

// extras are what a gateway's own secret has by mistake besides what signed.
var extras = []struct {
	id, name string
	without  func(text string) []string
}{
	{"spaces", "spaces or a newline", each(strings.TrimSpace)},
	{"mark", "a byte order mark", each(func(text string) string { return strings.TrimPrefix(text, "\ufeff") })},
	{"invisible", "characters that nobody sees", each(func(text string) string {
		return strings.TrimFunc(text, func(r rune) bool { return unicode.Is(unicode.Cf, r) })
	})},
	{"escape", "an escape such as \\n, in letters,", each(without(`(\\[rnt])+$`))},
	{"bytes", "b'…', as Python prints bytes,", func(text string) []string {
		if !strings.HasPrefix(text, "b") {
			return nil
		}
		return []string{unwrap(text)}
	}},
	{"quoted", "quotation marks", each(unwrap)},
	{"end", "a comma or semicolon", each(without(`[,;]+$`))},
	{"line", "a variable's name", each(without(`^(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*[=:]\s*`))},
	{"comment", "a comment", each(without(`\s+(#|//).*$`))},
	{"two", "another secret", func(text string) []string {
		return slices.DeleteFunc(strings.Fields(text), func(field string) bool { return len(field) < verifier.MinSecret })
	}},
	{"twice", "itself once more", func(text string) []string {
		if half := text[:len(text)/2]; text == half+half {
			return []string{half}
		}
		return nil
	}},
}

// maxBare is how many texts within a gateway's own secret are tried.
const maxBare = 16

func without(pattern string) func(string) string {
	p := regexp.MustCompile(pattern)
	return func(text string) string { return p.ReplaceAllString(text, "") }
}

// addBare adds what a gateway's own secret is without what it may have by mistake, and says
// what that is. It is for nobody but the operator to tell which of the two is right.
func addBare(v *variants, secret string, deviations []deviation) {
	type bare struct {
		text, id string
		had      []string
	}
	queue := []bare{{text: secret}}
	for i := 0; i < len(queue) && len(queue) < maxBare; i++ {
		for _, x := range extras {
			for _, text := range x.without(queue[i].text) {
				if len(text) < minCut || v.seen[text] {
					continue
				}
				next := bare{text, "gateway_secret_" + x.id, append(slices.Clone(queue[i].had), x.name)}
				if len(next.had) > 1 {
					next.id = "gateway_secret_wrapped"
				}
				queue = append(queue, next)
				v.add(text, true, append(deviations[:len(deviations):len(deviations)], deviation{next.id, "the gateway's own secret has " + strings.Join(next.had, " and ") +
					" besides what was used to sign", "remove that where the gateway reads its secret, unless it is part of it"})...)
			}
		}
	}
}

// keyRules are what signers make of a secret.
var keyRules = []rule{
	{"secret_newline", "the secret was used with a newline after it", "remove the newline, which comes from a file or from echo", pairs, around("%\n", "%\r\n")},
	{"secret_decoded_hex", "the secret was decoded from hex to bytes", useSecret, pairs, fromHex},
	{"secret_decoded_base64", "the secret was decoded from base64 to bytes", useSecret, pairs, fromBase64},
	{"secret_missing", "the signer had no secret when it signed", setSecret, pairs, always("")},
	{"secret_spaces", "the secret was used with spaces around it", "remove the spaces", 0, around("% ", " %", " % ", "%\t", "%\r", "\n%", "%\n\n", "\n%\n")},
	{"secret_quoted", "the secret was used with quotation marks around it", useSecret, 0, around(`"%"`, "'%'", "`%`", `\"%\"`)},
	{"secret_bytes_printed", "the secret was used as Python prints bytes, with b'…' around it", "decode the bytes to a text before they become part of another", 0, around("b'%'", `b"%"`)},
	{"secret_line", "the secret was used with the name of its variable before it", "use what stands after the equals sign", 0,
		around("CHAT_IDENTITY_SECRET=%", "SECRET=%", "export CHAT_IDENTITY_SECRET=%", "export SECRET=%")},
	{"secret_mark", "the secret was used with a byte order mark before it", "save the secret's file as UTF-8 without a byte order mark", 0, around("\ufeff%", "\ufeff%\n", "\ufeff%\r\n")},
	{"secret_upper_case", "the secret was used in upper case", useSecret, 0, each(strings.ToUpper)},
	{"secret_lower_case", "the secret was used in lower case", useSecret, 0, each(strings.ToLower)},
	{"secret_encoded", "the secret was encoded before it was used, in base64, hex or for a URL", useSecret, 0, each(toBase64, toHex, url.QueryEscape)},
	{"secret_cut", "only a part of the secret was used", "look for a column that is too short, and for characters that a shell or an environment file takes for its own", 0, cuts},
	{"secret_placeholder", "a secret was used that was never filled in", setSecret, 0, always("undefined", "null", "None", "nil", "false", "[object Object]",
		"an-example-secret-do-not-use", "secret", "SECRET", "your-secret", "your_secret", "YOUR_SECRET", "your-secret-key", "YOUR_SECRET_KEY", "changeme", "CHAT_IDENTITY_SECRET",
		"$CHAT_IDENTITY_SECRET", "${CHAT_IDENTITY_SECRET}", "{env.CHAT_IDENTITY_SECRET}", "process.env.CHAT_IDENTITY_SECRET")},
}

// secretVariants returns the keys that signers make of each secret. Public values are those
// of the request.
func secretVariants(e *Evidence, encoding string, public []docField) (keys [][]variant) {
	for _, s := range e.Secrets {
		keys = append(keys, keyVariants(s, encoding, e.Widget, public))
		public = nil // once is enough
	}
	for _, s := range e.Previous {
		keys = append(keys, keyVariants(s, encoding, e.Widget, nil, previousSecret))
	}
	return slices.DeleteFunc(keys, func(of []variant) bool { return of == nil })
}

// keyVariants returns the keys that signers make of a secret, the right one first, nil if
// it writes none in the encoding. Each carries the deviations given.
func keyVariants(secret verifier.Secret, encoding, widget string, public []docField, deviations ...deviation) []variant {
	var v variants
	useKey := useSecret
	add := func(text string, r rule) {
		if r.fix == useSecret {
			r.fix = useKey
		}
		v.add(text, r.also&pairs != 0, append(deviations[:len(deviations):len(deviations)], deviation{r.id, r.did, r.fix})...)
	}
	if encoding == "" || encoding == verifier.KeyEncodings[0] {
		v.add(secret.Reveal(), false, deviations...)
	} else {
		key, err := secret.Decoded(encoding)
		if err != nil {
			return nil
		}
		useKey = "decode the secret from " + encoding + ", and use its bytes as the key"
		v.add(key.Reveal(), false, deviations...)
		add(secret.Reveal(), rule{id: "secret_not_decoded", did: "the secret's text was used as the key", fix: useKey, also: pairs})
	}
	addBare(&v, secret.Reveal(), deviations)
	for _, r := range keyRules {
		for _, text := range r.texts(secret.Reveal()) {
			add(text, r)
		}
	}
	if widget != "" {
		add(widget, rule{id: "widget_id_as_key", did: "the widget's id was used as the secret", fix: setSecret})
	}
	for _, f := range public {
		add(f.text, rule{id: "other_value_as_key", did: "a value of the request, which everybody can read, was used as the secret", fix: setSecret})
	}
	return v.list
}

func toHex(text string) string    { return hex.EncodeToString([]byte(text)) }
func toBase64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func fromHex(text string) []string {
	b, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) == 0 {
		return nil
	}
	return []string{string(b)}
}

// fromBase64 takes a text for base64 in either alphabet, padded or not (RFC 4648).
func fromBase64(text string) (texts []string) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(text); err == nil && len(b) > 0 {
			texts = append(texts, string(b))
		}
	}
	return texts
}

// cuts returns the secret up to where columns, C strings, environment files and shells
// cut it, and without its first or last character.
func cuts(text string) (texts []string) {
	for _, n := range [...]int{len(text) - 1, len(text) / 2, 16, 20, 24, 32, 40, 50, 63, 64, strings.IndexAny(text, "#"), strings.IndexAny(text, "$"),
		strings.IndexAny(text, " \t\r\n\x00"), strings.IndexAny(text, "&;%\\\"'`!")} {
		if n >= minCut && n < len(text) {
			texts = append(texts, text[:n])
		}
	}
	if len(text) > minCut {
		texts = append(texts, text[1:])
	}
	return texts
}

// minCut is the shortest piece of a secret that is tried, in bytes: nobody can guess one
// that is longer a few characters at a time.
const minCut = 8
