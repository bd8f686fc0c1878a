package command

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// printTokenKey prints a new key pair.
func printTokenKey(cmd *cobra.Command, algorithm string, out *output) error {
	private, err := newPrivateKey(algorithm)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return err
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pair := map[string]string{"private_key": text("PRIVATE KEY", secret), "public_key": text("PUBLIC KEY", public)}
	return out.print(cmd, pair, func(w io.Writer) error {
		_, err := io.WriteString(w, pair["private_key"]+pair["public_key"])
		return err
	})
}

func newPrivateKey(algorithm string) (private crypto.Signer, err error) {
	switch algorithm {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	if err := (&verifier.Token{Algorithms: []string{algorithm}}).Check(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s is signed with a secret, which 'keygen' alone prints", algorithm)
}
