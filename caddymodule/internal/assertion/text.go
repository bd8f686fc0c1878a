package assertion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
)

// storedKey is a key as [Keys.Text] has it.
type storedKey struct {
	Private []byte    `json:"private"` // PKCS #8
	Created time.Time `json:"created"`
	Signs   time.Time `json:"signs,omitzero"`
	Ends    time.Time `json:"ends,omitzero"`
}

// errText quotes nothing: the text has private keys.
var errText = errors.New("these are not the signing keys of a gateway")

// Text returns the keys, private parts included, for [Parse].
func (k *Keys) Text() (string, error) {
	stored := make([]storedKey, len(k.list))
	for i, key := range k.list {
		private, err := x509.MarshalPKCS8PrivateKey(key.Private)
		if err != nil {
			return "", err
		}
		stored[i] = storedKey{private, key.Created, key.Signs, key.Ends}
	}
	text, err := json.Marshal(stored)
	return string(text), err
}

// Parse reads the keys of a [Keys.Text].
func Parse(text string) (*Keys, error) {
	var stored []storedKey
	if err := json.Unmarshal([]byte(text), &stored, json.RejectUnknownMembers(true)); err != nil || len(stored) == 0 {
		return nil, errText
	}
	list := make([]Key, len(stored))
	for i, s := range stored {
		parsed, err := x509.ParsePKCS8PrivateKey(s.Private)
		private, ok := parsed.(*ecdsa.PrivateKey)
		if err != nil || !ok || private.Curve != elliptic.P256() {
			return nil, errText
		}
		id, err := thumbprint(private)
		if err != nil {
			return nil, err
		}
		list[i] = Key{id, private, s.Created, s.Signs, s.Ends}
	}
	return &Keys{list}, nil
}
