package diagnose

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"regexp"
	"strings"
)

// unpadded is how the parts of a token are encoded.
var unpadded = base64.RawURLEncoding

const tokenAlone = "send the token alone"

// tokenPeelings are what is written around or within a token, in the order in which it is
// removed.
var tokenPeelings = []peeling{
	{deviation{"token_spaces", "spaces or a newline were sent around the token", "trim it, since they usually come from a file or from echo"}, strings.TrimSpace},
	{deviation{"token_quoted", "quotation marks were sent around the token", tokenAlone}, unwrap},
	{deviation{"token_in_json", "the token was sent within a JSON object", tokenAlone}, onlyText},
	{deviation{"token_prefixed", "Bearer, or the name of a header or variable, was sent before the token", tokenAlone},
		without(`^(?i:[\w-]+\s*[:=]\s*)?["']?(?i:(bearer|jwt|token)[\s:]+)?`)},
	{deviation{"token_url_encoded", "the token was percent-encoded", "send it as it is, since none of its characters needs an escape"}, func(text string) string {
		plain, _ := url.PathUnescape(text)
		return plain
	}},
	{deviation{"token_wrapped", "the token was broken into lines, or has spaces within", "send it on one line"}, func(text string) string {
		return strings.Join(strings.Fields(text), "")
	}},
	{deviation{"token_quoted", "quotation marks or a comma were sent after the token", tokenAlone}, without(`["'\x60,;]+$`)},
	{deviation{"token_encoded_twice", "the whole token was encoded once more, in base64", tokenAlone}, func(text string) string {
		for _, plain := range fromBase64(text) {
			if strings.Count(plain, ".") == 2 {
				return plain
			}
		}
		return text
	}},
	{deviation{"token_padded", "the parts of the token are padded with =", "encode them in base64url without padding, and sign that text"}, without(`=+`)},
	{deviation{"token_base64", "the parts of the token are in base64", "encode them in base64url, with - and _ for + and /, and sign that text"},
		strings.NewReplacer("+", "-", "/", "_").Replace},
}

// onlyText returns the text that a JSON text has, alone or in an object.
func onlyText(text string) string {
	var object map[string]any
	var inner string
	if json.Unmarshal([]byte(text), &inner) == nil {
		return inner
	}
	_ = json.Unmarshal([]byte(text), &object)
	for _, value := range object {
		if inner, _ = value.(string); strings.Count(inner, ".") == 2 {
			return inner
		}
	}
	return text
}

// notTokens are what else is sent in place of a token, after what was written around it.
var notTokens = []pattern{
	{deviation{"token_encrypted", "the token is encrypted (JWE, in five parts)", "send a signed one, in three parts"}, regexp.MustCompile(`^[^.]*(\.[^.]*){4}$`)},
	{deviation{"token_json", "the token is in JSON serialization", "send it in compact serialization, header.payload.signature"}, regexp.MustCompile(`^\{[^.]*"(payload|protected|signatures)"`)},
	{deviation{"token_payload_sent", "the claims themselves were sent and not a token", "send the token that a server makes of them"}, regexp.MustCompile(`^\{`)},
	{deviation{"token_unsigned", "the token has no signature, since it has two parts", "send all three, header.payload.signature"}, regexp.MustCompile(`^ey[\w-]+\.[\w-]+$`)},
	{deviation{"token_cut", "only the beginning of the token was sent", "look for a column or cookie that is too short, and send all three parts"}, regexp.MustCompile(`^ey[\w-]*$`)},
	{deviation{"signature_sent", "a digest in hex was sent as the token", "send a token, or the digest as the signature beside the user id"}, regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)},
	{deviation{"token_opaque", "an opaque token was sent, such as an access token or a session's id", "send a JSON Web Token that your server signs"}, regexp.MustCompile(`^[\w~+/-]{16,}=*$`)},
}

// repair removes what was written around the token until it can be read, and says what
// that was, or what was sent in place of a token.
func (t *token) repair() (found []deviation, readable bool) {
	t.text = t.sent
	if t.evidence.isSecret([]byte(t.sent)) {
		return []deviation{{"secret_sent", "the secret itself was sent as the token, so that every visitor can read it", "replace the secret, and send a token that a server signs with it"}}, false
	}
	for i := 0; i < len(tokenPeelings) && t.jws.Read([]byte(t.text)) != nil; i++ {
		p := &tokenPeelings[i]
		if peeled := p.peel(t.text); peeled != t.text && peeled != "" {
			t.spelled = append(t.spelled, t.text)
			t.text, found = peeled, append(found, p.deviation)
		}
	}
	if t.jws.Read([]byte(t.text)) == nil {
		return found, true
	}
	if sent, _ := recognize(sentInstead, t.sent); sent.id == "signature_placeholder" {
		return []deviation{{"token_placeholder", "the token is a placeholder, or what a program prints for a value that it does not have", "wait for the server's answer, and check that it holds the token"}}, false
	}
	if sent, ok := recognize(notTokens, t.text, strings.TrimSpace(t.sent)); ok {
		return []deviation{sent}, false
	}
	return nil, false
}

// signed returns what signers sign of a token, the right text first.
func (t *token) signed() []variant {
	var v variants
	v.add(string(t.jws.Signed), false)
	for _, text := range t.spelled {
		if i := strings.LastIndexByte(text, '.'); i > 0 {
			v.add(text[:i], false) // what was written around or within it was signed, too
		}
	}
	head, body, _ := strings.Cut(string(t.jws.Signed), ".")
	header, _ := unpadded.DecodeString(head)
	payload := string(t.jws.Payload)
	decoded := deviation{"token_json_signed", "the JSON of header and payload was signed, and not the encoded texts", signParts}
	alone := deviation{"token_payload_signed", "the payload alone was signed", signParts}
	inOther := deviation{"token_base64_signed", "the parts were signed in another base64 than the one that is sent", "sign the very text that is sent, in base64url without padding"}
	in := func(e *base64.Encoding) string {
		return e.EncodeToString(header) + "." + e.EncodeToString(t.jws.Payload)
	}
	v.add(string(header)+"."+payload, true, decoded)
	v.add(string(header)+payload, true, decoded)
	v.add(payload, true, alone)
	v.add(body, true, alone)
	v.add(head+body, true, deviation{"token_dot", "header and payload were signed without the dot between them", signParts})
	v.add(string(t.jws.Signed)+".", false, deviation{"token_dot", "a dot was signed after the payload", signParts})
	v.add(in(base64.StdEncoding), true, inOther)
	v.add(in(base64.URLEncoding), true, inOther)
	v.add(string(t.jws.Signed)+"\n", true, deviation{"token_newline_signed", "a newline was signed after the payload", signParts})
	for _, h := range jsonWritings(header) {
		for _, p := range jsonWritings(t.jws.Payload) {
			v.add(unpadded.EncodeToString([]byte(h))+"."+unpadded.EncodeToString([]byte(p)), false,
				deviation{"token_rewritten", "header or payload was written anew after it was signed", "send the very text that was signed"})
		}
	}
	return v.list
}

// publicTexts are the files that a public key is kept in.
func publicTexts(key crypto.PublicKey) []string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return []string{text, strings.TrimSpace(text), string(der), base64.StdEncoding.EncodeToString(der)}
}
