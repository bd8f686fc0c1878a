package names_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// usual are the names that a handler may well watch.
var usual = []string{"user_id", "user_hash", "userId", "userHash", "hmacSignature", "hmacTimestamp", "hmacNonce", "token", "conversation_id"}

// binary is like a photo or a film: next to random, with NULs here and there.
func binary(length int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, length)
	for i := range text {
		text[i] = byte(r.Uint32())
		if i%512 < 16 {
			text[i] = 0
		}
	}
	return text
}

// chat is JSON of a chat in several languages.
func chat(length int) []byte {
	line := []byte(`{"content":"Hello 👋, the users' \"order\" hasn't arrived in conversation 17.\nÜber Nacht, ça va? 注文はまだ届いていません"},` + "\n")
	return bytes.Repeat(line, length/len(line))
}

func BenchmarkStand(b *testing.B) {
	set := names.Compile(usual)
	twice, _ := json.Marshal(string(chat(1 << 20)))
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"binary", binary(8 << 20)},
		{"NULs", make([]byte, 8<<20)},
		{"chat", chat(1 << 20)},
		{"chat in JSON", twice},
		{"chat in UTF-16", encodings[0].encode(string(chat(1 << 20)))},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkStand(b, set, c.text) })
	}
	for _, part := range worst {
		b.Run(fmt.Sprintf("%q", part), func(b *testing.B) {
			benchmarkStand(b, set, bytes.Repeat([]byte(part), 256<<10/len(part)))
		})
	}
}

func benchmarkStand(b *testing.B, set *names.Set, text []byte) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if name, ok := set.Stand(text); ok {
			b.Fatalf("%q stands", name)
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	set := names.Compile(usual)
	text := binary(8 << 20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if name, ok := searched(set, text); ok {
			b.Fatalf("%q stands", name)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		names.Compile(usual)
	}
}

// worst are what texts consist of that are slow to read, having many readings.
var worst = []string{
	"\x00", `\`, "%", "=", "&", "&#", "&#0", "%25", `\u`, `\x`, `\60`, `\u{0`, `u\`, "%%3", "=\n", `%5C`, `\u00%`, `\%&=`, "u\x00", "\xf0\x80",
	"user_i", `"user_i`, "user_%5", `us%5Cu0065%`, `\\u%5C&#`, `\u\60\60\60`, "\x00\x00\x00\\u\\u\\u0025", "\\\\u\\u\x00", "\nU\\=",
}

// TestStandWorst has them in a length in which a search that is not linear would
// not end.
func TestStandWorst(t *testing.T) {
	set := names.Compile(usual)
	for _, part := range worst {
		if name, ok := set.Stand(bytes.Repeat([]byte(part), 512<<10/len(part))); ok {
			t.Errorf("%q stands in many of %q", name, part)
		}
	}
}

// TestStandAllocates fixes what a search allocates: nothing.
func TestStandAllocates(t *testing.T) {
	set := names.Compile(usual)
	for _, text := range [][]byte{chat(4 << 10), bytes.Repeat([]byte(`\u\u0025`), 512), []byte(`{"us\u0065r_id":1}`)} {
		if allocs := testing.AllocsPerRun(10, func() { set.Stand(text) }); allocs != 0 {
			t.Errorf("%.0f allocations in a search of %.20q", allocs, text)
		}
	}
	for _, block := range []string{`Content-Disposition: form-data; name="message[content]"`, disposition(`name="file"; filename="photo.jpg"`)} {
		if allocs := testing.AllocsPerRun(10, func() { set.StandInHeader([]byte(block), nil) }); allocs > 1 {
			t.Errorf("%.0f allocations in a search of the header %q", allocs, block)
		}
	}
}
