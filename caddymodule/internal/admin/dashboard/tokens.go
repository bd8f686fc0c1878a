package dashboard

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// tokenSigner is what a server's template for tokens is filled with.
type tokenSigner struct {
	Token       string // the name of the token in what it returns
	Variable    string // of the environment, with the secret or the file of the private key
	Private     bool   // whether a private key signs
	Algorithm   string // as the header names it
	Hash, Upper string // as most languages name it, such as sha256, and as Go's package crypto does
	GoHash      string
	Claims      string // the members of the payload, but for its times
	KeyEncoding string
	Key         string // the secret's key, as an expression

	NodeHash, NodeKey string
	Constants         bool // whether NodeKey has some
}

// byToken reports whether the proof that is shown is a token.
func (s *Site) byToken() bool {
	return s.Dialect.TakesToken() && (s.Dialect.Message == "" || s.Dialect.Proof == "token")
}

// tokenName is the name of the token in what the server returns.
func (s *Site) tokenName() string {
	if p := s.place(verifier.TokenField); p.Location == "body" && plain.MatchString(p.Key()) {
		return p.Key()
	}
	return "token"
}

// tokenLanguages are those whose standard libraries sign by the algorithm.
func (s *Site) tokenLanguages() []language {
	if a := s.algorithm(); strings.HasPrefix(a, "HS") || strings.HasPrefix(a, "RS") {
		return languages
	}
	return languages[:1] // Node.js
}

func (s *Site) algorithm() string {
	return append(slices.Clone(s.Dialect.Token.Algorithms), "HS256")[0]
}

// tokenSigner returns what the template of a language is filled with.
func (s *Site) tokenSigner(l *language) *tokenSigner {
	to := &tokenSigner{Token: s.tokenName(), Algorithm: s.algorithm(), Claims: s.claims(l), KeyEncoding: cmp.Or(s.Dialect.KeyEncoding, "text")}
	bits := to.Algorithm[2:]
	to.Private, to.Hash, to.Upper = !strings.HasPrefix(to.Algorithm, "HS"), "sha"+bits, "SHA"+bits
	to.Variable, to.Key = "CHAT_IDENTITY_SECRET", l.keys[to.KeyEncoding]
	to.GoHash = map[string]string{"256": "sha256.New", "384": "sha512.New384", "512": "sha512.New"}[bits]
	if !to.Private {
		return to
	}
	to.Variable, to.KeyEncoding = "CHAT_IDENTITY_KEY_FILE", "text"
	to.GoHash = map[string]string{"256": "sha256.Sum256", "384": "sha512.Sum384", "512": "sha512.Sum512"}[bits]
	to.NodeHash, to.NodeKey = "'"+to.Hash+"'", "readFileSync(file)"
	switch to.Algorithm[:2] {
	case "ES":
		to.NodeKey = "{ key: readFileSync(file), dsaEncoding: 'ieee-p1363' }"
	case "PS":
		to.Constants = true
		to.NodeKey = "{ key: readFileSync(file), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }"
	case "Ed":
		to.NodeHash = "null"
	}
	return to
}

// claims returns the members of the payload: the user's id, and what is required.
func (s *Site) claims(l *language) string {
	rules := &s.Dialect.Token
	members := []string{l.claim(append(slices.Clone(rules.UserID), "/sub")[0], l.text())}
	for _, pointer := range slices.Sorted(maps.Keys(rules.Require)) {
		members = append(members, l.claim(pointer, l.quote(rules.Require[pointer][0])))
	}
	return strings.Join(members, ", ")
}

// claim returns a member of an object, which is one of an object within it if the pointer
// has several names.
func (l *language) claim(pointer, value string) string {
	names := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, name := range slices.Backward(names) {
		value = l.quote(strings.NewReplacer("~1", "/", "~0", "~").Replace(name)) + l.colon + value
		if i > 0 {
			value = strings.Replace(l.object, "%", value, 1)
		}
	}
	return value
}

// text is the user's id as a text.
func (l *language) text() string {
	if l.keyword == "python" {
		return "str(user_id)"
	}
	return l.sigil + l.userID
}
