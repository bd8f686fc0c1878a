package body

import (
	"bytes"
	"testing"
)

// BenchmarkBeginnings shows what it costs to skip a megabyte, and that what does
// not begin like an object costs next to nothing.
func BenchmarkBeginnings(b *testing.B) {
	for name, text := range map[string][]byte{
		"spaces":  bytes.Repeat([]byte(" "), 1<<20),
		"NULs":    make([]byte, 1<<20),
		"comment": append([]byte("#"), bytes.Repeat([]byte("words and "), 1<<20/10)...),
		"JPEG":    append([]byte("\xff\xd8\xff\xe0\x00\x10JFIF"), make([]byte, 1<<10)...),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for range b.N {
				var s start
				s.feed(text)
			}
		})
	}
}
