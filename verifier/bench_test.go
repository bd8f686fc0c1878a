package verifier

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"testing"
)

// BenchmarkMAC is what any verification with a cached key costs at least.
func BenchmarkMAC(b *testing.B) {
	pool := sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(allocSecret)) }}
	id := []byte("user-4711")
	signature := []byte(hexMAC(b, newKey([]byte(allocSecret)), string(id)))
	sum, got := make([]byte, 0, sha256.Size), make([]byte, sha256.Size)
	b.ReportAllocs()
	for b.Loop() {
		h := pool.Get().(hash.Hash)
		h.Reset()
		h.Write(id)
		sum = h.Sum(sum[:0])
		if _, err := hex.Decode(got, signature); err != nil || !hmac.Equal(sum, got) {
			b.Fatal("no match")
		}
		pool.Put(h)
	}
}

func BenchmarkVerify(b *testing.B) {
	v := compiled(b, Dialect{Message: "{user_id}"})
	own, other := NewKey(WeakSecret(allocSecret)), NewKey(WeakSecret("another-secret-0123456789"))
	claim := claimOf("user-4711")
	claim[Signature] = []byte(v.sign(NewKey(WeakSecret(allocSecret)), claim))
	for _, test := range []struct {
		name string
		keys []*Key
		want error
	}{
		{"one_secret", []*Key{own}, nil},
		{"three_secrets_last", []*Key{other, other, own}, nil},
		{"invalid", []*Key{other}, ErrInvalid},
		{"widget_unknown", nil, ErrInvalid},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.prove(claim, test.keys); !errors.Is(err, test.want) {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyParallel(b *testing.B) {
	v := compiled(b, Dialect{Message: "{user_id}"})
	keys := []*Key{NewKey(WeakSecret(allocSecret))}
	claim := claimOf("user-4711")
	claim[Signature] = []byte(v.sign(NewKey(WeakSecret(allocSecret)), claim))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.prove(claim, keys); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRead reads a claim and checks its shape.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{300, 4 << 10, 64 << 10, 1 << 20} {
		for _, last := range []bool{false, true} {
			where := "first"
			if last {
				where = "last"
			}
			b.Run(fmt.Sprintf("%dB_%s", size, where), func(b *testing.B) {
				benchmarkRead(b, "bookbag", sized(size, last, ""))
			})
		}
	}
	b.Run("attributes", func(b *testing.B) {
		benchmarkRead(b, "bookbag", sized(300, false, `,"user_metadata":{"name":"Zoë","email":"zoe@example.com","plan":"pro","seats":5}`))
	})
}

func BenchmarkDialect(b *testing.B) {
	for _, d := range Dialects {
		if d.TakesToken() {
			continue // see BenchmarkToken
		}
		var members []string
		written := map[Field]bool{}
		for _, p := range d.Places {
			if p.Field == Attributes || p.Field == Widget || written[p.Field] || strings.Count(p.Name, "/") > 1 {
				continue
			}
			written[p.Field] = true
			value := "x"
			switch p.Field {
			case Signature:
				value = strings.Repeat("a1", 32)
			case Nonce:
				value = strings.Repeat("n", defaultNonceLength)
			case Timestamp:
				value = "1800000000"
			}
			members = append(members, fmt.Sprintf("%q:%q", lastToken(p.Name), value))
		}
		claim := strings.Join(members, ",")
		message := `"message":"` + strings.Repeat("x", max(300-len(claim)-15, 0)) + `"`
		for where, body := range map[string]string{"first": "{" + claim + "," + message + "}", "last": "{" + message + "," + claim + "}"} {
			b.Run(d.Name+"_"+where, func(b *testing.B) { benchmarkRead(b, d.Name, []byte(body)) })
		}
	}
}

func benchmarkRead(b *testing.B, dialect string, body []byte) {
	reader, v := spoken(b, dialect)
	var r Reading
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		reader.JSON(body, &r)
		if err := v.shape(&r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClaim is the whole way from a body to a verified user.
func BenchmarkClaim(b *testing.B) {
	reader, _ := spoken(b, "bookbag")
	v := compiled(b, Dialect{Message: "{user_id}"})
	keys := []*Key{NewKey(WeakSecret(allocSecret))}
	signature := v.sign(NewKey(WeakSecret(allocSecret)), claimOf("user-4711"))
	body := []byte(strings.Replace(string(sized(300, true, "")), strings.Repeat("a1", 32), signature, 1))
	var r Reading
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		reader.JSON(body, &r)
		if err := v.shape(&r); err != nil {
			b.Fatal(err)
		}
		if _, err := v.prove(&r.claim, keys); err != nil {
			b.Fatal(err)
		}
	}
}
