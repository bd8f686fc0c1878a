package verifier

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const allocSecret = "allocation-secret-0123456789"

// allocates fails where f does, but under the race detector only runs it.
func allocates(t *testing.T, name string, want float64, f func()) {
	t.Helper()
	got := testing.AllocsPerRun(200, f)
	if !raceEnabled && got != want {
		t.Errorf("%s: %v allocations, want %v", name, got, want)
	}
}

func TestVerifyAllocates(t *testing.T) {
	for _, encoding := range []encoding{inHex, inBase64, inBase64URL} {
		v := compiled(t, Dialect{Message: "{user_id}{nonce}{timestamp}", Encoding: encoding.String(), MaxAge: time.Hour})
		own, other := NewKey(WeakSecret(allocSecret)), NewKey(WeakSecret("another-secret-0123456789"))
		right := claim{UserID: []byte("user-1"), Nonce: []byte(strings.Repeat("n", 32)), Timestamp: []byte(fmt.Sprint(time.Now().Unix()))}
		right[Signature] = []byte(v.sign(own, &right))
		forged, garbage := right, right
		forged[UserID], garbage[Signature] = []byte("user-2"), []byte("garbage")
		for _, test := range []struct {
			name  string
			claim claim
			keys  []*Key
			want  error
		}{
			{"one secret", right, []*Key{own}, nil},
			{"three secrets, the last one", right, []*Key{other, other, own}, nil},
			{"one secret, invalid", forged, []*Key{own}, ErrInvalid},
			{"three secrets, invalid", forged, []*Key{own, other, other}, ErrInvalid},
			{"no digest", garbage, []*Key{own}, ErrInvalid},
			{"no secret", right, nil, ErrInvalid},
		} {
			r, most := sent(test.claim), 0.0
			if test.want == nil {
				most = 1 // the user id, which outlives the request
			}
			allocates(t, encoding.String()+", "+test.name, most, func() {
				if id, err := v.Verify(r, test.keys...); !errors.Is(err, test.want) || (err == nil) != (id.User() == "user-1") {
					t.Fatalf("%s: %v", test.name, err)
				}
			})
		}
	}
}

// sized returns a body of about that size with a bookbag claim, its fields at
// the beginning or at the end.
func sized(size int, last bool, extra string) []byte {
	claim := `"user_id":"user-4711","user_hash":"` + strings.Repeat("a1", 32) + `"` + extra
	var turns strings.Builder
	for turns.Len() < size-len(claim)-30 {
		if turns.Len() > 0 {
			turns.WriteByte(',')
		}
		turns.WriteString(`{"role":"user","text":"What about my order?"}`)
	}
	messages := `"messages":[` + turns.String() + `]`
	if last {
		return []byte("{" + messages + "," + claim + "}")
	}
	return []byte("{" + claim + "," + messages + "}")
}

func TestReadAllocates(t *testing.T) {
	const metadata = `,"user_metadata":{"name":"Zoë","email":"zoe@example.com","plan":"pro","seats":5}`
	for _, test := range []struct {
		name, dialect string
		body          []byte
		want          float64
	}{
		{"300 B", "bookbag", sized(300, false, ""), 0},
		{"300 B, the claim last", "bookbag", sized(300, true, ""), 0},
		{"64 KB", "bookbag", sized(64<<10, true, ""), 0},
		{"an escaped id", "bookbag", []byte(`{"user_id":"\u0061","user_hash":"b"}`), 0},
		{"attributes", "bookbag", sized(300, false, metadata), 0},
		{"nothing", "bookbag", []byte(`{"message":"hi"}`), 0},
		{
			"a timestamp", "snapengage",
			[]byte(`{"user_id":"u","hmacSignature":"s","hmacNonce":"` + strings.Repeat("n", 32) + `","hmacTimestamp":1800000000}`), 0,
		},
		{"camel case", "nextcap", []byte(`{"userId":"u","userHash":"s","email":"e","name":"n","customAttributes":{"a":[1,2]}}`), 0},
	} {
		reader, v := spoken(t, test.dialect)
		var r Reading
		allocates(t, test.name, test.want, func() {
			r.Reset()
			reader.JSON(test.body, &r)
			if err := v.shape(&r); err != nil && !errors.Is(err, ErrMissing) {
				t.Fatalf("%s: %v", test.name, err)
			}
		})
	}
	reader, v := spoken(t, "bookbag")
	form := []byte("message=hi+there&user_id=Zo%C3%AB&user_hash=" + strings.Repeat("a1", 32))
	var r Reading
	allocates(t, "form", 0, func() {
		r.Reset()
		reader.Form(form, &r)
		reader.Query([]byte(nil), &r)
		if err := v.shape(&r); err != nil {
			t.Fatal(err)
		}
	})
	allocates(t, "query", 0, func() {
		r.Reset()
		reader.Query(form, &r)
		if err := v.shape(&r); err != nil {
			t.Fatal(err)
		}
	})
}
