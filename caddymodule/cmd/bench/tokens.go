package main

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"sync"
	"time"
)

// rsaKey is the customer's.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return key
})

// publicPEM returns the customer's public key, in one line.
func publicPEM() string {
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		panic(err) // a bug: the key has just been generated
	}
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// hs256 returns tokens that the secret signs.
func hs256(n int) []string {
	return tokens("HS256", n, func(head []byte) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(head)
		return mac.Sum(nil)
	})
}

// rs256 returns tokens that the customer's key signs.
func rs256(n int) []string {
	return tokens("RS256", n, func(head []byte) []byte {
		digest := sha256.Sum256(head)
		signature, err := rsa.SignPKCS1v15(nil, rsaKey(), crypto.SHA256, digest[:])
		if err != nil {
			panic(err) // a bug: the key is long enough
		}
		return signature
	})
}

// tokens returns tokens that differ in their jti.
func tokens(algorithm string, n int, sign func(head []byte) []byte) []string {
	encode := base64.RawURLEncoding.EncodeToString
	header := encode([]byte(`{"alg":"` + algorithm + `","typ":"JWT"}`))
	all := make([]string, n)
	now := time.Now()
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			head := header + "." + encode(fmt.Appendf(nil, `{"sub":"%s","iat":%d,"exp":%d,"iss":"https://shop.example.com","jti":"%s"}`,
				user, now.Unix(), now.Add(time.Hour).Unix(), rand.Text()))
			all[i] = head + "." + encode(sign([]byte(head)))
		})
	}
	group.Wait()
	return all
}
