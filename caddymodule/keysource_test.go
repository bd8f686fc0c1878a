package caddymodule

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// testCertificate is that of the test's https servers, which this process and its children
// trust.
var testCertificate tls.Certificate

// trustTestServers creates an authority of the tests' own, before anything asks for the
// system's.
func trustTestServers(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	testCertificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	path := filepath.Join(dir, "authority.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", path)
}

// pair is a key pair of a customer's.
type pair struct {
	crypto.Signer
	algorithm jose.SignatureAlgorithm
	kid       string
}

func newPair(t testing.TB, algorithm jose.SignatureAlgorithm, kid string) *pair {
	t.Helper()
	p := &pair{algorithm: algorithm, kid: kid}
	var err error
	switch algorithm {
	case jose.RS256:
		p.Signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.ES256:
		p.Signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		p.Signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		_, p.Signer, err = ed25519.GenerateKey(rand.Reader)
	}
	must(t, err)
	return p
}

// der returns the public key.
func (p *pair) der(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(p.Public())
	must(t, err)
	return der
}

func (p *pair) pem(t testing.TB) string {
	t.Helper()
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: p.der(t)}))
}

// sign returns a token of go-jose's, which has the kid if the pair has one.
func (p *pair) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: p.algorithm, Key: jose.JSONWebKey{Key: p.Signer, KeyID: p.kid}}, nil)
	must(t, err)
	payload, err := json.Marshal(claims)
	must(t, err)
	signed, err := signer.Sign(payload)
	must(t, err)
	text, err := signed.CompactSerialize()
	must(t, err)
	return text
}

// token returns a token of ada's that is good where tokens are bound.
func (p *pair) token(t testing.TB) string {
	t.Helper()
	return p.sign(t, map[string]any{"sub": "ada", "iss": "https://shop.example", "aud": "chat", "exp": inAnHour()})
}

// keySource is an https server with a key set.
type keySource struct {
	*httptest.Server
	fetches atomic.Int64
	mu      sync.Mutex
	answer  http.HandlerFunc
}

func newKeySource(t testing.TB, pairs ...*pair) *keySource {
	t.Helper()
	s := new(keySource)
	s.holds(t, pairs...)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{testCertificate}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *keySource) answers(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// fails has the source answer as a gateway does whose backend is down.
func (s *keySource) fails() {
	s.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
}

func (s *keySource) holds(t testing.TB, pairs ...*pair) {
	t.Helper()
	text := jwksOf(t, pairs...)
	s.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
}

func jwksOf(t testing.TB, pairs ...*pair) []byte {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, p := range pairs {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: p.Public(), KeyID: p.kid})
	}
	text, err := json.Marshal(set)
	must(t, err)
	return bytes.TrimSpace(text)
}

// reread has the running gateway read a key set again, as it does every few minutes.
func reread(t testing.TB, source string) error {
	t.Helper()
	set := active(t).sets.Known(source)
	if set == nil {
		t.Fatalf("the key set %s is not known", source)
	}
	return set.Update()
}
