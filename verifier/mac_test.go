package verifier

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// only returns a message of the user id alone, so that a claim's user id can
// be any text that is to be signed.
func only(t testing.TB) message {
	t.Helper()
	return template(t, "{user_id}", defaultNonceLength)
}

func template(t testing.TB, text string, nonceLength int) message {
	t.Helper()
	m, err := parseMessage(text, nonceLength)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func claimOf(user string) *claim { return &claim{UserID: []byte(user)} }

func hexMAC(t testing.TB, k *Key, text string) string {
	t.Helper()
	m := only(t)
	sum := k.mac(&m, claimOf(text))
	return hex.EncodeToString(sum[:])
}

func unhex(t testing.TB, text string) string {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRFC4231 runs the test cases of RFC 4231 section 4 for HMAC-SHA-256.
func TestRFC4231(t *testing.T) {
	for _, test := range []struct{ section, key, data, digest string }{
		{"4.2", strings.Repeat("0b", 20), hex.EncodeToString([]byte("Hi There")), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{"4.3", hex.EncodeToString([]byte("Jefe")), hex.EncodeToString([]byte("what do ya want for nothing?")), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{"4.4", strings.Repeat("aa", 20), strings.Repeat("dd", 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		{"4.5", "0102030405060708090a0b0c0d0e0f10111213141516171819", strings.Repeat("cd", 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
		// Truncated to 128 bits in the RFC.
		{"4.6", strings.Repeat("0c", 20), hex.EncodeToString([]byte("Test With Truncation")), "a3b6167473100ee06e0c796c2955552b"},
		{"4.7", strings.Repeat("aa", 131), hex.EncodeToString([]byte("Test Using Larger Than Block-Size Key - Hash Key First")), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
		{"4.8", strings.Repeat("aa", 131), hex.EncodeToString([]byte("This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.")), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	} {
		k := newKey([]byte(unhex(t, test.key)))
		got := hexMAC(t, k, unhex(t, test.data))
		if !strings.HasPrefix(got, test.digest) {
			t.Errorf("RFC 4231 section %s: got %s, want %s", test.section, got, test.digest)
		}
		if again := hexMAC(t, k, unhex(t, test.data)); again != got {
			t.Errorf("RFC 4231 section %s: the key's second MAC is %s", test.section, again)
		}
	}
}

// TestPublishedDigests compares with digests that other projects' documentation
// and tests print.
func TestPublishedDigests(t *testing.T) {
	for _, test := range []struct{ secret, message, digest string }{
		{"secret", "Message", "aa747c502a898200f9e4fa21bac68136f886a0e27aec70ba06daf2e2a5cb5597"},
		{"abcdefgh", "1234", "3f5ed07739c3217c03afaff4ecf40a6974ee8e0523e6c9914236b4251504db23"},
		{"It's a Secret to Everybody", "Hello, World!", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
	} {
		if got := hexMAC(t, newKey([]byte(test.secret)), test.message); got != test.digest {
			t.Errorf("%s: got %s", test.secret, got)
		}
		if got := compiled(t, Dialect{Message: "{user_id}"}).sign(NewKey(WeakSecret(test.secret)), claimOf(test.message)); got != test.digest {
			t.Errorf("%s: Sign gives %s", test.secret, got)
		}
	}
}

func TestOpenSSL(t *testing.T) {
	for _, secret := range []string{
		"0123456789abcdef", "a secret with blanks and 'quotes'", "Schlüssel-für-Österreich", "密钥密钥密钥密钥密钥", strings.Repeat("long", 40),
	} {
		for _, id := range []string{"user-1", "42", "Zoë Ünï", "客户 🦊", "a b\tc", strings.Repeat("é", 512)} {
			command := exec.Command("openssl", "dgst", "-sha256", "-hmac", secret)
			command.Stdin = strings.NewReader(id)
			out, err := command.Output()
			if err != nil {
				t.Fatalf("openssl: %v", err)
			}
			// "SHA2-256(stdin)= <digest>"; the name before differs by version.
			fields := strings.Fields(string(out))
			s, err := NewSecret(secret)
			if err != nil {
				t.Fatal(err)
			}
			if got := compiled(t, Dialect{Message: "{user_id}"}).sign(NewKey(s), claimOf(id)); got != fields[len(fields)-1] {
				t.Errorf("secret %q, id %q: %s, openssl says %s", secret, id, got, out)
			}
		}
	}
}

// A Key is shared by all requests of its widget.
func TestKeyConcurrently(t *testing.T) {
	k := newKey([]byte("0123456789abcdef"))
	want := hexMAC(t, k, "user-1")
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 500 {
				if got := hexMAC(t, k, "user-1"); got != want {
					t.Error(got)
				}
			}
		})
	}
	wait.Wait()
}

// countingHash counts the MACs that are computed with it.
type countingHash struct{ sums *atomic.Int64 }

func (h countingHash) Write(p []byte) (int, error) { return len(p), nil }
func (h countingHash) Sum(b []byte) []byte {
	h.sums.Add(1)
	return append(b, make([]byte, sha256.Size)...)
}
func (countingHash) Reset()         {}
func (countingHash) Size() int      { return sha256.Size }
func (countingHash) BlockSize() int { return sha256.BlockSize }

func countingKey() (*Key, *atomic.Int64) {
	sums := new(atomic.Int64)
	k := new(Key)
	k.macs[0].New = func() any { return &macState{hash: countingHash{sums}} }
	return k, sums
}

// TestOneMACAKey: how long a refusal takes must not tell a widget that exists
// from one that does not, nor a signature that was parsed from one that was not.
func TestOneMACAKey(t *testing.T) {
	genuine := decoy
	defer func() { decoy = genuine }()
	v := compiled(t, Dialect{Message: "{user_id}"})
	signatures := map[string]string{
		"wrong":       strings.Repeat("a", 64),
		"too short":   "ab",
		"no hex":      strings.Repeat("x", 64),
		"empty":       "",
		"a long text": strings.Repeat("a", 4096),
	}
	for name, signature := range signatures {
		claim := &claim{UserID: []byte("user-1"), Signature: []byte(signature)}
		var sums *atomic.Int64
		decoy, sums = countingKey()
		if _, err := v.prove(claim, nil); !errors.Is(err, ErrInvalid) || sums.Load() != 1 {
			t.Errorf("%s, no key: %v after %d MACs", name, err, sums.Load())
		}
		one, ones := countingKey()
		two, twos := countingKey()
		if _, err := v.prove(claim, []*Key{one, two}); !errors.Is(err, ErrInvalid) || ones.Load() != 1 || twos.Load() != 1 {
			t.Errorf("%s: %v after %d and %d MACs", name, err, ones.Load(), twos.Load())
		}
	}
}
