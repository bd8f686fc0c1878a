package widgets

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func newKeys(t testing.TB, size int64, now func() time.Time) *Keys {
	t.Helper()
	keys, err := NewKeys(size, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newTestRecord(t testing.TB, id string, ring *Ring) *Record {
	t.Helper()
	r, err := NewRecord(id, "", "", testSecret(t, "secret-of-"+id+"-0123456789"), ring, testTime)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verifies reports whether some of the keys accepts what was signed with the text.
func verifies(t testing.TB, keys []*verifier.Key, text string) bool {
	t.Helper()
	dialect, _ := verifier.LookupDialect("bookbag")
	v, err := dialect.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v.Sign(verifier.NewKey(testSecret(t, text)), map[verifier.Field]string{verifier.UserID: "user-1"})
	if err != nil {
		t.Fatal(err)
	}
	var r verifier.Reading
	v.JSON([]byte(`{"user_id":"user-1","user_hash":"`+hash+`"}`), &r)
	_, err = v.Verify(&r, keys...)
	return err == nil
}

func TestKeysOpenOnce(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	keys := newKeys(t, DefaultCache, time.Now)
	record := newTestRecord(t, "shop", ring)
	const callers = 64
	var wg sync.WaitGroup
	got := make([]*verifier.Key, callers)
	for i := range callers {
		wg.Go(func() {
			if made, err := keys.Append(nil, record, "text", ring); err == nil {
				got[i] = made[0]
			}
		})
	}
	wg.Wait()
	for i := range got {
		if got[i] == nil || got[i] != got[0] {
			t.Fatal("a secret was opened more than once, or not at all")
		}
	}
	if !verifies(t, got[:1], "secret-of-shop-0123456789") {
		t.Error("the key is of another secret")
	}
	before := keys.Stats()
	if again, err := keys.Append(nil, record, "text", ring); err != nil || again[0] != got[0] {
		t.Errorf("the next call: %v", err)
	}
	if after := keys.Stats(); after.Hits != before.Hits+1 || after.Misses != before.Misses || after.Cost != keyCost || after.Size != DefaultCache {
		t.Errorf("stats went from %+v to %+v", before, after)
	}
}

func TestKeysOfAnotherRecord(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	keys := newKeys(t, DefaultCache, time.Now)
	shop := newTestRecord(t, "shop", ring)
	if _, err := keys.Append(nil, shop, "text", ring); err != nil {
		t.Fatal(err)
	}
	stolen := newTestRecord(t, "thief", ring)
	stolen.Secrets = shop.Secrets
	if got, err := keys.Append(nil, stolen, "text", ring); err == nil || len(got) > 0 {
		t.Errorf("a record copied to another widget opens, from the cache: %v", err)
	}
	if got, err := keys.Append(nil, shop, "text", NewRing(testKey(t, 2))); err == nil || len(got) > 0 {
		t.Errorf("a secret whose key was dropped verifies from the cache: %v", err)
	}
	if got, err := keys.Append(nil, shop, "text", ring); err != nil || len(got) != 1 {
		t.Errorf("its own record: %v", err)
	}
	// A record that claims to be sealed under a key that is left, or anything else
	// than what was opened, is not answered from the cache.
	both := NewRing(testKey(t, 1), testKey(t, 2))
	for name, change := range map[string]func(*Sealed){
		"another key": func(s *Sealed) { s.KeyID = testKey(t, 2).ID() },
		"another box": func(s *Sealed) { s.Box = bytes.Repeat([]byte{'A'}, 80) },
	} {
		forged := *shop
		forged.Secrets = []Sealed{shop.Secrets[0]}
		change(&forged.Secrets[0])
		if got, err := keys.Append(nil, &forged, "text", both); err == nil || len(got) > 0 {
			t.Errorf("%s: opens from the cache: %v", name, err)
		}
	}
}

func TestKeysInGrace(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	now := testTime
	keys := newKeys(t, DefaultCache, func() time.Time { return now })
	first := newTestRecord(t, "shop", ring)
	second, err := first.Rotate(testSecret(t, "another-secret-0123456789"), time.Hour, ring, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		old   bool
	}{{0, true}, {time.Hour - 1, true}, {time.Hour, false}, {2 * time.Hour, false}} {
		now = testTime.Add(c.after)
		got, err := keys.Append(nil, second, "text", ring)
		if err != nil {
			t.Fatal(err)
		}
		if !verifies(t, got, "another-secret-0123456789") {
			t.Errorf("after %v the current secret does not verify", c.after)
		}
		if verifies(t, got, "secret-of-shop-0123456789") != c.old {
			t.Errorf("after %v the old secret verifies: %v", c.after, !c.old)
		}
	}
}

func TestKeysGoOnWithoutOne(t *testing.T) {
	old, current := testKey(t, 1), testKey(t, 2)
	keys := newKeys(t, DefaultCache, func() time.Time { return testTime })
	record, err := newTestRecord(t, "shop", NewRing(old)).
		Rotate(testSecret(t, "another-secret-0123456789"), time.Hour, NewRing(current), testTime)
	if err != nil {
		t.Fatal(err)
	}
	got, err := keys.Append(nil, record, "text", NewRing(current))
	if err == nil || len(got) != 1 || !verifies(t, got, "another-secret-0123456789") {
		t.Errorf("%d keys and %v: want the one that opens, and an error", len(got), err)
	}
}

func TestKeysAreBounded(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	keys := newKeys(t, MinCache, time.Now)
	for i := range 1000 {
		record := newTestRecord(t, fmt.Sprintf("widget-%d", i), ring)
		if got, err := keys.Append(nil, record, "text", ring); err != nil || len(got) != 1 {
			t.Fatalf("widget %d: %v", i, err)
		}
		if stats := keys.Stats(); stats.Cost > stats.Size {
			t.Fatalf("the cache takes %d bytes of %d", stats.Cost, stats.Size)
		}
	}
	if _, err := NewKeys(MinCache-1, time.Now, nil); err == nil {
		t.Error("a cache that holds nothing was made")
	}
}

func TestKeysAllocate(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	keys := newKeys(t, DefaultCache, time.Now)
	record := newTestRecord(t, "shop", ring)
	buffer := make([]*verifier.Key, 0, 4)
	if _, err := keys.Append(buffer, record, "text", ring); err != nil {
		t.Fatal(err)
	}
	keys.cache.Wait() // until then each call decrypts again
	allocs := testing.AllocsPerRun(1000, func() { _, _ = keys.Append(buffer, record, "text", ring) })
	if !raceEnabled && allocs > 0 { // the race detector allocates on its own
		t.Errorf("%v allocations", allocs)
	}
}

// A cache is never closed under requests, and does not leak either.
func TestKeysAreCollected(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	record := newTestRecord(t, "shop", ring)
	before := runtime.NumGoroutine()
	for range 20 {
		if _, err := newKeys(t, MinCache, time.Now).Append(nil, record, "text", ring); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > before+4 {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
}

func BenchmarkKeys(b *testing.B) {
	ring := NewRing(testKey(b, 1))
	keys := newKeys(b, DefaultCache, time.Now)
	record := newTestRecord(b, "shop", ring)
	b.Run("warm", func(b *testing.B) {
		buffer := make([]*verifier.Key, 0, 4)
		b.ReportAllocs()
		for b.Loop() {
			_, _ = keys.Append(buffer, record, "text", ring)
		}
	})
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = ring.Open(record.ID, &record.Secrets[0])
		}
	})
}
