package assertion

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const lifetime = time.Minute

// A rotation goes through next, current and previous. The key that signs is published at
// every moment, for Notice before it first signs, and until its last assertion has expired
// in every cache.
func TestRotation(t *testing.T) {
	start := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	keys := must(First(start))
	first := keys.Signer(start).ID
	wantStates(t, keys, start, first+" current")

	keys = must(keys.Rotate(start.Add(time.Hour), lifetime))
	rotated := start.Add(time.Hour)
	second := keys.States(rotated)[0].ID
	signs, ends := rotated.Add(10*time.Minute), rotated.Add(21*time.Minute)
	for _, at := range []struct {
		when time.Time
		want []string
	}{
		{rotated, []string{second + " next", first + " current"}},
		{signs.Add(-1), []string{second + " next", first + " current"}},
		{signs, []string{second + " current", first + " previous"}},
		{ends.Add(-1), []string{second + " current", first + " previous"}},
		{ends, []string{second + " current"}},
		{ends.Add(10000 * time.Hour), []string{second + " current"}},
	} {
		wantStates(t, keys, at.when, at.want...)
		// Rotating again before the next key signs changes nothing, whoever tries it how often.
		if at.when.Before(signs) {
			if again := must(keys.Rotate(at.when, lifetime)); again != keys {
				t.Errorf("a rotation at %s changed keys that have a next one", at.when)
			}
		}
	}

	// A minute at a time through forty rotations, every verifier that read the key set up to
	// 10 minutes ago verifies what is signed now, until it expires.
	keys = must(First(start))
	type published struct {
		at  time.Time
		ids []string
	}
	var sets []published
	for now := start; now.Before(start.Add(10 * time.Hour)); now = now.Add(time.Minute) {
		if int(now.Sub(start).Minutes())%15 == 14 {
			keys = must(keys.Rotate(now, lifetime))
		}
		var ids []string
		for _, key := range keys.Public(now).Keys {
			ids = append(ids, key.KeyID)
		}
		sets = append(sets, published{now, ids})
		signer := keys.Signer(now).ID
		for _, set := range sets[max(0, len(sets)-10):] {
			if !slices.Contains(set.ids, signer) {
				t.Fatalf("what is signed at %s is not in the set of %s", now, set.at)
			}
		}
		if later := keys.Public(now.Add(lifetime)).Keys; !slices.ContainsFunc(later, func(key jose.JSONWebKey) bool { return key.KeyID == signer }) {
			t.Fatalf("what is signed at %s does not verify until it expires", now)
		}
		if len(ids) > 3 {
			t.Fatalf("%d keys are published at %s", len(ids), now)
		}
	}
}

// With the longest lifetime and no pause between rotations, keys are dropped as well.
func TestRotationsWithoutAPause(t *testing.T) {
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	keys := must(First(now))
	for range 100 {
		now = now.Add(Notice)
		keys = must(keys.Rotate(now, time.Hour))
		if len(keys.list) > 10 {
			t.Fatalf("%d keys are kept", len(keys.list))
		}
	}
}

// Clocks are wrong: behind, and ahead when somebody rotated.
func TestWrongClocks(t *testing.T) {
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	keys := must(First(now))
	if keys.Signer(now.Add(-time.Hour)) == nil {
		t.Error("a gateway whose clock is behind cannot sign with another's first key")
	}
	year := 365 * 24 * time.Hour
	ahead := must(keys.Rotate(now.Add(year), lifetime))
	wantStates(t, ahead, now, ahead.list[0].ID+" next", keys.list[0].ID+" current")
	healed := must(ahead.Rotate(now, lifetime))
	wantStates(t, healed, now, ahead.list[0].ID+" next", keys.list[0].ID+" current")
	wantStates(t, healed, now.Add(Notice), ahead.list[0].ID+" current", keys.list[0].ID+" previous")
	wantStates(t, healed, now.Add(2*Notice+lifetime), ahead.list[0].ID+" current")
}

// Without a key, a rotation creates the first one and the next.
func TestNoKeys(t *testing.T) {
	now := time.Now()
	var none *Keys
	if none.Signer(now) != nil || len(none.States(now)) > 0 {
		t.Error("there is a key where there is none")
	}
	if set, err := json.Marshal(none.Public(now)); err != nil || string(set) != `{"keys":[]}` {
		t.Errorf("the set is %s, %v", set, err)
	}
	keys := must(none.Rotate(now, lifetime))
	wantStates(t, keys, now, keys.list[0].ID+" next", keys.list[1].ID+" current")
}

func TestPublicHasNoPrivateParts(t *testing.T) {
	now := time.Now()
	keys := must(must(First(now)).Rotate(now, lifetime))
	text, err := json.Marshal(keys.Public(now))
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%s: %v", text, err)
	}
	for i, key := range set.Keys {
		delete(key, "x")
		delete(key, "y")
		want := map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": keys.list[i].ID}
		if fmt.Sprint(key) != fmt.Sprint(want) {
			t.Errorf("key %d is %v", i, key)
		}
	}
}

func TestText(t *testing.T) {
	now := time.Now()
	keys := must(must(First(now)).Rotate(now, lifetime))
	text, err := keys.Text()
	if err != nil {
		t.Fatal(err)
	}
	read, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(read.list, keys.list, func(a, b Key) bool {
		return a.ID == b.ID && a.Private.Equal(b.Private) && a.Created.Equal(b.Created) && a.Signs.Equal(b.Signs) && a.Ends.Equal(b.Ends)
	}) {
		t.Error("the keys are not those that were written")
	}
	for _, bad := range []string{"", "null", "[]", "{}", `[{"private":""}]`, strings.Replace(text, "private", "public", 1), text + "x"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%.20q was read", bad)
		}
	}
}

func wantStates(t *testing.T, keys *Keys, now time.Time, want ...string) {
	t.Helper()
	var got, gotIDs, wantIDs []string
	for _, state := range keys.States(now) {
		got = append(got, state.ID+" "+state.State)
		if state.State == "current" && keys.Signer(now).ID != state.ID {
			t.Errorf("at %s, another key than the current one signs", now)
		}
	}
	for _, w := range want {
		id, _, _ := strings.Cut(w, " ")
		wantIDs = append(wantIDs, id)
	}
	for _, key := range keys.Public(now).Keys {
		gotIDs = append(gotIDs, key.KeyID)
		if _, ok := key.Key.(*ecdsa.PublicKey); !ok {
			t.Errorf("at %s, a %T is published", now, key.Key)
		}
	}
	if !slices.Equal(got, want) || !slices.Equal(gotIDs, wantIDs) {
		t.Errorf("at %s, the states are\n%q and published are\n%q, want\n%q", now, got, gotIDs, want)
	}
}

func must(keys *Keys, err error) *Keys {
	if err != nil {
		panic(err)
	}
	return keys
}
