package widgets

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestOthers: what may have signed for a widget are its retired secrets and other widgets'
// keys, never its own that verify.
func TestOthers(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	keys, err := NewKeys(MinCache, func() time.Time { return now }, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseEncryptionKey(NewEncryptionKey())
	if err != nil {
		t.Fatal(err)
	}
	ring := NewRing(key)
	use := func(r *Record) {
		t.Helper()
		if _, err := keys.Append(nil, r, "text", ring); err != nil {
			t.Fatal(err)
		}
	}
	rotate := func(r *Record, grace time.Duration) *Record {
		t.Helper()
		next, err := r.Rotate(NewSecret(), grace, ring, now)
		if err != nil {
			t.Fatal(err)
		}
		use(next)
		return next
	}
	create := func(id string) *Record {
		t.Helper()
		r, err := NewRecord(id, "", "", NewSecret(), ring, now)
		if err != nil {
			t.Fatal(err)
		}
		use(r)
		return r
	}
	want := func(when string, r *Record, want ...Other) {
		t.Helper()
		got := keys.Others(r.ID, r)
		for i := range got {
			if i >= len(want) || got[i].Widget != want[i].Widget || got[i].Key.ID != want[i].Key.ID || got[i].Retired != want[i].Retired {
				t.Errorf("%s: %+v", when, got)
				return
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d keys, want %d", when, len(got), len(want))
		}
	}
	keyOf := func(r *Record) Other {
		all, _ := keys.Append(nil, r, "text", ring)
		return Other{Widget: r.ID, Key: all[0]}
	}

	shop := create("shop")
	want("alone", shop)
	kiosk := create("kiosk")
	want("another widget", shop, keyOf(kiosk))

	first := keyOf(shop)
	shop = rotate(shop, time.Hour)
	want("in grace", shop, keyOf(kiosk))
	now = now.Add(2 * time.Hour)
	first.Retired = true
	want("after the grace", shop, first, keyOf(kiosk))

	second := keyOf(shop)
	shop = rotate(shop, 0)
	second.Retired = true
	want("rotated without a grace", shop, first, second, keyOf(kiosk))

	third := keyOf(shop)
	third.Retired = true
	shop = rotate(shop, time.Hour)
	if shop, err = shop.EndGrace(); err != nil {
		t.Fatal(err)
	}
	want("its grace ended early", shop, third, first, second, keyOf(kiosk))
	fourth := keyOf(shop)
	fourth.Retired = true
	shop = rotate(rotate(shop, time.Hour), 0)
	if got := keys.Others(shop.ID, shop); !slices.ContainsFunc(got, func(o Other) bool { return o.Key.ID == fourth.Key.ID && o.Retired }) {
		t.Errorf("rotated with a grace and then without: %+v", got)
	}

	for i := range 100 {
		create(fmt.Sprint("widget-", i))
	}
	if all := keys.Others("shop", shop); len(all) != maxOthers || !all[0].Retired || all[0].Widget != "shop" {
		t.Errorf("%d keys", len(all))
	}
}
