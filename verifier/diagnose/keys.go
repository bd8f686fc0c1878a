package diagnose

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const (
	useSecret   = "use the secret's text as the key, as it is"
	setSecret   = "set the secret in the signer's environment"
	mendGateway = "remove that where the gateway reads its secret"
)

// keyRules are what signers make of a secret. Where the text that the gateway has is the
// one that is wrong, they say so.
var keyRules = []rule{
	{"gateway_secret_spaces", "the gateway's own secret has spaces or a newline around it, which the signer's does not have", mendGateway, pairs, each(strings.TrimSpace)},
	{"gateway_secret_quoted", "the gateway's own secret has quotation marks around it, which the signer's does not have", mendGateway, pairs, each(unwrap)},
	{"gateway_secret_mark", "the gateway's own secret begins with a byte order mark, which the signer's does not have", mendGateway, pairs, each(unmarked)},
	{"gateway_secret_line", "the gateway's own secret is a whole line of an environment file, with the variable's name", mendGateway, pairs, each(lineValue)},
	{"gateway_secret_wrapped", "the gateway's own secret has more than one thing around it, of a byte order mark, spaces, quotation marks and a variable's name", mendGateway, pairs, each(bare)},
	{"secret_newline", "the secret was used with a newline after it", "remove the newline, which comes from a file or from echo", pairs, around("%\n", "%\r\n")},
	{"secret_decoded_hex", "the secret was decoded from hex to bytes", useSecret, pairs, fromHex},
	{"secret_decoded_base64", "the secret was decoded from base64 to bytes", useSecret, pairs, fromBase64},
	{"secret_missing", "the signer had no secret when it signed", setSecret, pairs, always("")},
	{"secret_spaces", "the secret was used with spaces around it", "remove the spaces", 0, around("% ", " %", " % ", "%\t", "%\r", "\n%", "%\n\n", "\n%\n")},
	{"secret_quoted", "the secret was used with quotation marks around it", useSecret, 0, around(`"%"`, "'%'", "`%`", `\"%\"`)},
	{"secret_bytes_printed", "the secret was used as Python prints bytes, with b'…' around it", "decode the bytes to a text before they become part of another", 0, around("b'%'", `b"%"`)},
	{"secret_mark", "the secret was used with a byte order mark before it", "save the secret's file as UTF-8 without a byte order mark", 0, around("\ufeff%", "\ufeff%\n", "\ufeff%\r\n")},
	{"secret_upper_case", "the secret was used in upper case", useSecret, 0, each(strings.ToUpper)},
	{"secret_lower_case", "the secret was used in lower case", useSecret, 0, each(strings.ToLower)},
	{"secret_encoded", "the secret was encoded before it was used, in base64, hex or for a URL", useSecret, 0, each(toBase64, toHex, url.QueryEscape)},
	{"secret_cut", "only a part of the secret was used", "look for a column that is too short, and for characters that a shell or an environment file takes for its own", 0, cuts},
	{"secret_placeholder", "a secret was used that was never filled in", setSecret, 0, always("undefined", "null", "None", "nil", "false", "[object Object]",
		"secret", "SECRET", "your-secret", "your_secret", "YOUR_SECRET", "your-secret-key", "YOUR_SECRET_KEY", "changeme", "CHAT_IDENTITY_SECRET",
		"$CHAT_IDENTITY_SECRET", "${CHAT_IDENTITY_SECRET}", "{env.CHAT_IDENTITY_SECRET}", "process.env.CHAT_IDENTITY_SECRET")},
}

// keyVariants returns the keys that signers make of a secret, the right one
// first. Each carries the deviations given. Public values are those of the request.
func keyVariants(secret verifier.Secret, widget string, public []docField, deviations ...deviation) []variant {
	var v variants
	add := func(text string, r rule) {
		v.add(text, r.also&pairs != 0, append(deviations[:len(deviations):len(deviations)], deviation{r.id, r.did, r.fix})...)
	}
	v.add(secret.Reveal(), false, deviations...)
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
func unmarked(text string) string { return strings.TrimPrefix(text, "\ufeff") }

// assignment is the beginning of a line of an environment file.
var assignment = regexp.MustCompile(`^(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*[=:]\s*`)

func lineValue(text string) string {
	if name := assignment.FindString(text); name != "" {
		return unwrap(strings.TrimSpace(text[len(name):]))
	}
	return text
}

// bare removes all that may be around a secret.
func bare(text string) string {
	text = strings.TrimSpace(unmarked(strings.TrimSpace(text)))
	return strings.TrimSpace(unwrap(lineValue(strings.TrimRight(text, ",;"))))
}

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

// minCut is the shortest piece of a secret that is tried, in bytes.
const minCut = 4
