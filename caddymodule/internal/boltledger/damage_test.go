package boltledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

const sampleEntries = 120

func sampleName(i int) string { return fmt.Sprint("sample ", i) }

// sampleClock is the time at which the sample's entries are alive.
func sampleClock() *handClock { return newClock() }

// sample makes a ledger of some pages: entries with shares and without, free
// pages where others were.
func sample(t testing.TB, path string) []byte {
	t.Helper()
	clock := sampleClock()
	clock.pass(-time.Hour)
	l := at(t, path, clock)
	for i := range sampleEntries {
		var share ledger.Share
		if i%2 == 0 {
			share = ledger.Share{Owner: key(fmt.Sprint("owner ", i%10)), Limit: sampleEntries}
		}
		if _, err := l.Reserve(t.Context(), key(fmt.Sprint("ended ", i)), holder("a"), clock.in(time.Minute), share); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Reserve(t.Context(), key(sampleName(i)), holder(sampleName(i)), clock.in(24*time.Hour), share); err != nil {
			t.Fatal(err)
		}
	}
	clock.pass(time.Hour)
	l.sweep(t, clock.now().Unix())
	l.close(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// judge opens a file that may be damaged and says "refused: ", "right", or what
// is wrong. It may crash.
func judge(path string) string {
	for range 2 { // what is right must stay so once it has been written
		clock := sampleClock()
		l := New(Options{Path: path, Now: clock.now})
		l.noSync = true
		verdict := judgeOpen(l, clock)
		if err := l.Close(); err != nil && verdict == "" {
			return "not closed: " + err.Error()
		}
		if verdict != "" {
			return strings.ReplaceAll(verdict, "\n", " ")
		}
	}
	return "right"
}

func judgeOpen(l *Ledger, clock *handClock) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := l.Open(ctx, ledger.Window{}); err != nil {
		if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), l.path) {
			return "refused without saying so: " + err.Error()
		}
		return "refused: " + err.Error()
	}
	verdicts := make([]string, sampleEntries+8)
	var group sync.WaitGroup
	for i := range verdicts {
		name, who, asks, until := sampleName(i), holder(sampleName(i)), holder("a stranger"), sampleClock().in(23*time.Hour)
		var share ledger.Share
		if i >= sampleEntries { // a new one
			who, asks, until, share = holder("b"), holder("b"), clock.in(time.Hour), ledger.Share{Owner: key("owner"), Limit: 8}
		}
		group.Go(func() {
			e, err := l.Reserve(ctx, key(name), asks, clock.in(time.Hour), share)
			if err != nil || e.Holder != who || !e.Until.Equal(until) {
				verdicts[i] = fmt.Sprintf("%s is held by %x until %v: %v", name, e.Holder, e.Until, err)
			}
		})
	}
	group.Wait()
	return strings.Join(slices.DeleteFunc(verdicts, func(v string) bool { return v == "" }), "; ")
}

// judgeFiles judges each file whose path it reads.
func judgeFiles(string) {
	for paths := bufio.NewScanner(os.Stdin); paths.Scan(); {
		fmt.Println(judge(paths.Text()))
	}
}

// bench judges damaged files in another process, since they may crash it.
type bench struct {
	*child
	t        *testing.T
	path     string
	judgment map[string]int
}

func newBench(t *testing.T) *bench {
	return &bench{start(t, "judge", ""), t, filepath.Join(t.TempDir(), "damaged.db"), make(map[string]int)}
}

// judge returns the verdict, of which "right" and "refused: " are in order.
func (b *bench) judge(what string, content []byte) string {
	b.t.Helper()
	if err := os.WriteFile(b.path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	fmt.Fprintln(b.in, b.path)
	verdict := b.line(b.t)
	kind, _, _ := strings.Cut(verdict, ":")
	b.judgment[kind]++
	if kind != "right" && kind != "refused" {
		b.t.Errorf("%s: %s", what, verdict)
	}
	return verdict
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	whole := sample(t, filepath.Join(t.TempDir(), "ledger.db"))
	b := newBench(t)
	if verdict := b.judge("whole", whole); verdict != "right" {
		t.Fatal(verdict)
	}
	random := rand.New(rand.NewPCG(3, 4))
	sizes := []int{0, 1, 15, 16, 79, 80, 95, 96, 1023, 4095, 4097, 8191, 8193}
	for size := 0; size < len(whole); size += os.Getpagesize() {
		sizes = append(sizes, size, size+random.IntN(os.Getpagesize()))
	}
	for _, size := range sizes {
		b.judge(fmt.Sprintf("cut to %d bytes of %d", size, len(whole)), whole[:size])
	}
	if b.judgment["refused"] < len(sizes)/2 {
		t.Errorf("hardly any was refused: %v", b.judgment)
	}
	t.Log(b.judgment)
}

func TestOverwritten(t *testing.T) {
	t.Parallel()
	whole := sample(t, filepath.Join(t.TempDir(), "ledger.db"))
	b := newBench(t)
	random := rand.New(rand.NewPCG(5, 6))
	page := os.Getpagesize()
	damage := func(what string, at, size int, fill func([]byte)) {
		content := bytes.Clone(whole)
		fill(content[at:min(at+size, len(content))])
		b.judge(fmt.Sprintf("%s at %d, %d bytes", what, at, size), content)
	}
	zero := func(c []byte) { clear(c) }
	noise := func(c []byte) {
		for i := range c {
			c[i] = byte(random.Uint32())
		}
	}
	flip := func(c []byte) { c[0] ^= 1 << random.IntN(8) }
	for at := 0; at < len(whole); at += page {
		damage("a sector of zeros", at+512*random.IntN(page/512), 512, zero)
		damage("noise", at+random.IntN(page), 1+random.IntN(64), noise)
		damage("another bit", at+random.IntN(256), 1, flip) // of the header, or of an element
		switch random.IntN(3) {
		case 0:
			damage("zeros", at, page, zero)
		case 1:
			damage("noise", at, page, noise)
		case 2:
			damage("another page", at, page, func(c []byte) { copy(c, whole[page*random.IntN(len(whole)/page):]) })
		}
	}
	for _, kind := range []string{"refused", "right"} {
		if b.judgment[kind] == 0 {
			t.Errorf("nothing was %s: %v", kind, b.judgment)
		}
	}
	t.Log(b.judgment)
}

// TestRefused looks at what an operator is told.
func TestRefused(t *testing.T) {
	whole := sample(t, filepath.Join(t.TempDir(), "ledger.db"))
	edited := func(edit func(*bbolt.Tx) error) []byte {
		path := filepath.Join(t.TempDir(), "edited.db")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(edit), db.Close()); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	page := os.Getpagesize()
	for _, test := range []struct {
		name    string
		content []byte
		says    string
	}{
		{"empty", nil, "is empty"},
		{"a text", []byte(strings.Repeat("this is not a ledger\n", 1000)), "is not a ledger"},
		{"zeros", make([]byte, 1<<16), "is not a ledger"},
		{"cut short", whole[:len(whole)/2], "was truncated"},
		{"without its first meta page", append(make([]byte, page), whole[page:]...), "one of its two meta pages"},
		{"without its second", append(append(bytes.Clone(whole[:page]), make([]byte, page)...), whole[2*page:]...), "one of its two meta pages"},
		{"another database", edited(func(tx *bbolt.Tx) error { return tx.DeleteBucket(headerName) }), "not a ledger"},
		{"an older format", edited(func(tx *bbolt.Tx) error {
			return tx.Bucket(headerName).Put(versionKey, binary.BigEndian.AppendUint64(nil, 1))
		}), "has format 1"},
		{"a newer format", edited(func(tx *bbolt.Tx) error {
			return tx.Bucket(headerName).Put(versionKey, binary.BigEndian.AppendUint64(nil, 3))
		}), "has format 3"},
		{"another format's name", edited(func(tx *bbolt.Tx) error { return tx.Bucket(headerName).Put(formatKey, []byte("x")) }), "header is not"},
		{"no memory of what it forgot", edited(func(tx *bbolt.Tx) error { return tx.Bucket(headerName).Delete(forgottenKey) }), "what it has dropped"},
		{"no memory", edited(func(tx *bbolt.Tx) error { return tx.Bucket(headerName).Delete(memoryKey) }), "which ledger it is"},
		{"another id", edited(func(tx *bbolt.Tx) error {
			value := bytes.Clone(tx.Bucket(headerName).Get(memoryKey))
			value[0]++
			return tx.Bucket(headerName).Put(memoryKey, value)
		}), "which ledger it is"},
		{"no entries", edited(func(tx *bbolt.Tx) error { return tx.DeleteBucket(entriesName) }), "a bucket is missing"},
		{"an entry less", edited(func(tx *bbolt.Tx) error {
			k := key(sampleName(7))
			return tx.Bucket(entriesName).Delete(k[:])
		}), "do not agree"},
		{"an owner's row less", edited(func(tx *bbolt.Tx) error {
			k, _ := tx.Bucket(byOwnerName).Cursor().First()
			return tx.Bucket(byOwnerName).Delete(k)
		}), "do not agree"},
		{"an entry of nobody", edited(func(tx *bbolt.Tx) error {
			return tables{entries: tx.Bucket(entriesName), byExpiry: tx.Bucket(byExpiryName)}.replace(nil, &record{key: key("x"), until: 2 * base})
		}), "an entry has no holder"},
		{"an entry with another's checksum", edited(func(tx *bbolt.Tx) error {
			k, l := key(sampleName(1)), key(sampleName(3))
			return tx.Bucket(entriesName).Put(k[:], bytes.Clone(tx.Bucket(entriesName).Get(l[:])))
		}), "checksum"},
	} {
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := os.WriteFile(path, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		verdict := judge(path)
		if !strings.HasPrefix(verdict, "refused: ") || !strings.Contains(verdict, test.says) || !strings.Contains(verdict, path) {
			t.Errorf("%s: %s", test.name, verdict)
		}
		if content, err := os.ReadFile(path); err != nil || !bytes.Equal(content, test.content) {
			t.Errorf("%s: the file was changed: %v", test.name, err)
		}
	}
	if verdict := judge(t.TempDir()); !strings.HasPrefix(verdict, "refused: ") {
		t.Errorf("a folder: %s", verdict)
	}
}
