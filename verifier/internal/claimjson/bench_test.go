package claimjson_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

const claim = `"user_id":"user_12345","user_hash":"8a6d4d6b8c1d7f0a4f6b2c3d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f","user_metadata":{"name":"Ada Lovelace","email":"ada@example.com"}`

// text is size bytes of words, or a few more, without quotes. About every hundred
// bytes something from between stands among them.
func text(r *rand.Rand, size int, words, between string) string {
	list, odd := strings.Fields(words), strings.Fields(between)
	var b strings.Builder
	next := r.IntN(100)
	for b.Len() < size {
		if b.WriteString(list[r.IntN(len(list))] + " "); b.Len() > next && len(odd) > 0 {
			b.WriteString(odd[r.IntN(len(odd))] + " ")
			next = b.Len() + 50 + r.IntN(100)
		}
	}
	return b.String()
}

const (
	english  = "where is my order it was due on Monday, and nothing has come. Can you help me? I paid for express delivery: 12.50 that the shop took thanks a lot & bye! no yes maybe tomorrow"
	russian  = "где мой заказ он должен был прийти в понедельник, но ничего не пришло. Вы можете помочь? я оплатил экспресс-доставку: 12.50 спасибо и до свидания!"
	japanese = "私の注文はどこですか？ 月曜日に届くはずでしたが、 何も来ていません 速達料金を払いました ありがとう"
	code     = `if err {\n \t return \" := func(a, b) } \n\n \"net/http\" range type struct for _, words main strings.Repeat(\"a\") package`
	oddities = `\n \n\n \"quoted\" caf\u00e9 \ud83d\ude00 café Müller-Straße “express” 😀 12.50€ naïve 👍🏽`
)

// escaped writes what is beyond ASCII as Python and PHP do.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// array is an array of elements, size bytes long or a little longer.
func array(size int, element func(i int) string) string {
	var b strings.Builder
	b.WriteString("[0")
	for i := 0; b.Len() < size; i++ {
		b.WriteString("," + element(i))
	}
	return b.String() + "]"
}

func messages(size int) string {
	r := newRand()
	return array(size, func(i int) string {
		return fmt.Sprintf(`{"id":%d,"role":"%s","content":"%s","ts":1717171717}`, i, []string{"user", "agent"}[r.IntN(2)], text(r, 1+r.IntN(400), english, oddities))
	})
}

func smallObjects(size int) string {
	return array(size, func(int) string { return `{"id":12345,"name":"item","tags":["a","bc"],"ok":true}` })
}

func BenchmarkScan(b *testing.B) {
	p := compile(b, append(cut("/user_id", "/user_hash", "/timestamp", "/nonce"),
		keep("/user_metadata", "/user_metadata/email", "/user_metadata/name", "/conversation_id", "/visitor_id")...)...)
	quoted := func(s string) string { return `"` + s + `"` }
	scan := func(name, body string, holds bool) {
		b.Run(name, func(b *testing.B) {
			body := []byte(body)
			var found claimjson.Found
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := claimjson.Scan(body, p, &found); err != nil {
					b.Fatal(err)
				}
			}
			if holds != (found.Values[0].Kind == claimjson.String && len(found.Cuts) > 0) {
				b.Fatal("the claim is not found")
			}
		})
	}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"300B", 100}, {"4KB", 4 << 10}, {"64KB", 64 << 10}, {"1MB", 1 << 20}} {
		for _, bc := range []struct{ name, messages string }{
			{"chat", quoted(text(newRand(), size.bytes, english, oddities))},
			{"string", quoted(text(newRand(), size.bytes, english, ""))},
			{"messages", messages(size.bytes)},
			{"objects", smallObjects(size.bytes)},
		} {
			scan(size.name+"/"+bc.name, "{"+claim+`,"messages":`+bc.messages+"}", true)
		}
	}
	for _, bc := range []struct{ name, messages string }{
		{"code", quoted(text(newRand(), 1<<20, code, ""))},
		{"cyrillic", quoted(text(newRand(), 1<<20, russian, ""))},
		{"escaped", quoted(text(newRand(), 1<<20, escaped(russian), ""))},
		{"japanese", quoted(text(newRand(), 1<<20, japanese, ""))},
		{"indented", strings.ReplaceAll(strings.ReplaceAll(smallObjects(600<<10), ",", ",\n\t\t"), ":", ": ")},
	} {
		scan("1MB/"+bc.name, `{"messages":`+bc.messages+","+claim+"}", true)
	}
	scan("1MB/array", smallObjects(1<<20), false)
}

func BenchmarkCut(b *testing.B) {
	p := compile(b, cut("/user_id", "/user_hash")...)
	body := []byte("{" + claim + `,"messages":` + messages(4<<10) + "}")
	var found claimjson.Found
	if err := claimjson.Scan(body, p, &found); err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, len(body))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		dst = claimjson.Cut(dst[:0], body, found.Cuts)
	}
}
