package claimjson_test

import (
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

const claim = `"user_id":"user_12345","user_hash":"8a6d4d6b8c1d7f0a4f6b2c3d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f","user_metadata":{"name":"Ada Lovelace","email":"ada@example.com"}`

// conversation is an array of messages, size bytes long or a little longer.
func conversation(size int) string {
	var b strings.Builder
	b.WriteString(`[{"role":"system","content":"ok"}`)
	for b.Len() < size {
		b.WriteString(`,{"role":"user","content":"Where is my order? It was due on Monday, and nothing has come.","ts":1717171717}`)
	}
	b.WriteString("]")
	return b.String()
}

func smallObjects(size int) string {
	var b strings.Builder
	b.WriteString(`[{"id":0,"ok":true}`)
	for b.Len() < size {
		b.WriteString(`,{"id":12345,"name":"item","tags":["a","bc"],"ok":true}`)
	}
	b.WriteString("]")
	return b.String()
}

func BenchmarkScan(b *testing.B) {
	p := compile(b, append(cut("/user_id", "/user_hash", "/timestamp", "/nonce"),
		keep("/user_metadata", "/user_metadata/email", "/user_metadata/name", "/conversation_id", "/visitor_id")...)...)
	for _, bc := range []struct{ name, rest string }{
		{"300B", conversation(100)},
		{"4KB", conversation(4 << 10)},
		{"64KB", conversation(64 << 10)},
		{"1MB_string", `"` + strings.Repeat("Where is my order? ", 1<<20/19) + `"`},
		{"1MB_escapes", `"` + strings.Repeat(`Where is my order?\n`, 1<<20/20) + `"`},
		{"1MB_cyrillic", `"` + strings.Repeat("Где мой заказ? ", 1<<20/25) + `"`},
		{"1MB_messages", conversation(1 << 20)},
		{"1MB_objects", smallObjects(1 << 20)},
		{"1MB_events", "[" + strings.Repeat(`{"id":1000001,"kind":"event","at":"2026-01-02T03:04:05Z","ok":true},`, 1<<20/68) + "0]"},
		{"1MB_indented", strings.ReplaceAll(strings.ReplaceAll(smallObjects(600<<10), ",", ",\n\t\t"), ":", ": ")},
	} {
		for _, order := range []struct{ name, body string }{
			{"first", "{" + claim + `,"messages":` + bc.rest + "}"},
			{"last", `{"messages":` + bc.rest + "," + claim + "}"},
		} {
			b.Run(bc.name+"/"+order.name, func(b *testing.B) {
				body := []byte(order.body)
				var found claimjson.Found
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := claimjson.Scan(body, p, &found); err != nil {
						b.Fatal(err)
					}
				}
				if found.Values[0].Kind != claimjson.String || len(found.Cuts) == 0 {
					b.Fatal("the claim is not found")
				}
			})
		}
	}
}

func BenchmarkCut(b *testing.B) {
	p := compile(b, cut("/user_id", "/user_hash")...)
	body := []byte("{" + claim + `,"messages":` + conversation(4<<10) + "}")
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
