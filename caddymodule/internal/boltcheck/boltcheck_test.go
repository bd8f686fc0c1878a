package boltcheck

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// sample returns a file of two buckets, one of which has branches and one of
// which is within its parent's page, with free pages.
func sample(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bolt.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	put := func(bucket, what string, n int) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			for i := 0; i < n && err == nil; i++ {
				err = b.Put(fmt.Appendf(nil, "%s %04d", what, i), bytes.Repeat([]byte("value"), 10))
			}
			return err
		}
	}
	err = errors.Join(
		db.Update(put("large", "row", 400)), db.Update(put("gone", "row", 200)), db.Update(put("small", "row", 2)),
		db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("gone")) }), db.Update(put("large", "more", 10)), db.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// walk returns all that a walk shows.
func walk(t testing.TB, content []byte) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bolt.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var shown strings.Builder
	rows, err := Walk(f, os.Getpagesize(), func(bucket string, key, value []byte) error {
		_, err := fmt.Fprintf(&shown, "%s %s %s\n", bucket, key, value)
		return err
	})
	return shown.String() + fmt.Sprint(rows), err
}

func TestWalk(t *testing.T) {
	shown, err := walk(t, sample(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(shown, "map[large:410 small:2]") || strings.Count(shown, "\n") != 412 ||
		!strings.Contains(shown, "large row 0399 valuevalue") || !strings.Contains(shown, "small row 0001 valuevalue") {
		t.Errorf("shown: %s", shown)
	}
}

// TestDamaged damages a file here and there. A walk ends, and what it shows is in
// order; whether any row is missing, only who knows the rows can tell.
func TestDamaged(t *testing.T) {
	whole := sample(t)
	page := os.Getpagesize()
	random := rand.New(rand.NewPCG(1, 2))
	results := make(map[bool]int)
	damage := func(what string, content []byte) {
		t.Helper()
		shown, err := walk(t, content)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
		keys := strings.Split(shown, "\n")
		for i := range keys {
			keys[i], _, _ = strings.Cut(keys[i], " value")
		}
		if err == nil && !slices.IsSorted(keys[:len(keys)-1]) {
			t.Errorf("%s: out of order", what)
		}
		results[err == nil]++
	}
	for at := 0; at < len(whole); at += page {
		damage(fmt.Sprint("cut to ", at), whole[:at])
		for range 20 {
			content := bytes.Clone(whole)
			b := content[at : at+page]
			switch random.IntN(4) {
			case 0:
				b[random.IntN(64)] ^= 1 << random.IntN(8)
			case 1:
				b[random.IntN(page)] ^= 1 << random.IntN(8)
			case 2:
				copy(b, whole[page*random.IntN(len(whole)/page):])
			case 3:
				clear(b[512*random.IntN(page/512):])
			}
			damage(fmt.Sprint("at ", at), content)
		}
	}
	if results[true] < 50 || results[false] < 50 {
		t.Errorf("%d passed and %d did not", results[true], results[false])
	}
}

// TestPointers damages what only bolt would trip over, and only later.
func TestPointers(t *testing.T) {
	whole := sample(t)
	page := os.Getpagesize()
	m, err := readMetas(bytes.NewReader(whole), uint64(page))
	if err != nil {
		t.Fatal(err)
	}
	at := func(content []byte, id uint64) []byte { return content[int(id)*page:] }
	rootOf := func(content []byte) uint64 {
		e, ok := parsePage(m.root, at(content, m.root)).element(0)
		if !ok || string(e.key) != "large" {
			t.Fatalf("the first bucket is %s", e.key)
		}
		return order.Uint64(e.value)
	}
	for _, c := range []struct {
		says   string
		damage func(content []byte)
	}{
		{"is used and free", func(content []byte) {
			order.PutUint64(at(content, m.freelist)[pageHeaderSize:], rootOf(content))
		}},
		{"is out of order", func(content []byte) { // a branch that points to a leaf by a smaller key than its first
			e, ok := parsePage(0, at(content, rootOf(content))).element(1)
			if !ok {
				t.Fatal("there is no second child")
			}
			e.key[len(e.key)-1]--
		}},
		{"is pointed to more than once", func(content []byte) { // a cycle
			order.PutUint64(at(content, rootOf(content))[pageHeaderSize+8:], rootOf(content))
		}},
		{"keys are out of order", func(content []byte) {
			e, _ := parsePage(0, at(content, rootOf(content))).element(0)
			leaf, ok := parsePage(0, at(content, e.page)).element(1)
			if !ok {
				t.Fatal("the leaf has one row")
			}
			leaf.key[0] = 'a'
		}},
		{"truncated", func(content []byte) {
			for n := range 2 {
				b := at(content, uint64(n))[pageHeaderSize:]
				order.PutUint64(b[40:], 1<<40)
				seal(b)
			}
		}},
		{"one of its two meta pages", func(content []byte) { clear(content[page : 2*page]) }},
	} {
		content := bytes.Clone(whole)
		c.damage(content)
		if _, err := walk(t, content); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.says, err)
		}
	}
}

// seal gives a meta page its checksum.
func seal(b []byte) {
	h := checksum(b)
	order.PutUint64(b[metaSize-8:], h)
}

// TestManyFreePages: so many that their number has no room in the page's header.
func TestManyFreePages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bolt.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: 1024, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	ballast := []byte("ballast")
	err = errors.Join(
		db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket(ballast)
			if err != nil {
				return err
			}
			return b.Put(ballast, make([]byte, 0x11000*1024))
		}),
		db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(ballast) }),
		db.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if rows, err := Walk(f, 1024, nil); err != nil || len(rows) != 0 {
		t.Error(rows, err)
	}
}
