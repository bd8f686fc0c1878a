package caddymodule

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// TestGraceUses: in a grace the API, the commands and the metrics tell which secret each
// request used, over reloads, for stored and inline widgets.
func TestGraceUses(t *testing.T) {
	throughReloads(t)
	g := live(t, "widget declared {\nsecret {env.TEST_SECRET} "+otherSecret+"\n}", liveSite)
	first := g.create(t, `{"id":"shop"}`)
	before := g.scrape(t)
	equal(t, g.outcome(t, "shop", first), "verified", "before the rotation")
	second := g.rotate(t, "shop", `{"grace":"24h"}`)

	show := func(id string, last ...uint64) (one adminapi.Widget) {
		t.Helper()
		g.askInto(t, "widgets/"+id, &one)
		if len(one.Secrets) != len(last) || one.UsesSince.IsZero() {
			t.Fatalf("%+v", one)
		}
		for i, s := range one.Secrets {
			if s.UsedLastHour == nil || *s.UsedLastHour != last[i] || s.LastUsed.IsZero() != (last[i] == 0) || last[i] > 0 && time.Since(s.LastUsed) > time.Minute || s.Version == "" {
				t.Errorf("secret %d of %s: %+v, want %d", i, id, s, last[i])
			}
		}
		return one
	}
	one := show("shop", 0, 1)
	if !regexp.MustCompile(`^The old secret was last used at this gateway \d+ seconds? ago, 1 time in the last hour\.$`).MatchString(one.Grace) {
		t.Error(one.Grace)
	}
	for _, secret := range []string{first, second, first} {
		equal(t, g.outcome(t, "shop", secret), "verified", "in the grace")
	}
	equal(t, g.outcome(t, "shop", otherSecret), "invalid invalid", "forged")
	show("shop", 1, 3)
	load(t, g.config)
	equal(t, g.outcome(t, "shop", second), "verified", "after a reload")
	show("shop", 2, 3)

	equal(t, g.outcome(t, "declared", otherSecret), "verified", "inline")
	one = show("declared", 0, 1)
	load(t, g.config)
	equal(t, g.outcome(t, "declared", testSecret), "verified", "inline")
	if again := show("declared", 1, 1); again.Secrets[1].Version != one.Secrets[1].Version || again.Secrets[0].Version == again.Secrets[1].Version {
		t.Errorf("versions %+v were %+v", again.Secrets, one.Secrets)
	}

	got := grown(before, g.scrape(t))
	if current, grace := got[`secrets_used_total{secret="current"}`], got[`secrets_used_total{secret="grace"}`]; current != 4 || grace != 3 {
		t.Errorf("metrics: %v current, %v in grace", current, grace)
	}
	for _, c := range []struct{ args, want string }{
		{"show shop", "grace:      The old secret was last used at this gateway "},
		{"stats", "\nshop: The old secret was last used at this gateway "},
		{"stats", "\ndeclared: The old secret was last used at this gateway "},
		{"show declared", "old, still verifies, version "},
	} {
		out, errors, err := runCommand(t, "", append(strings.Fields(c.args), "--address", g.admin)...)
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %s%s%v", c.args, out, errors, err)
		}
	}
	g.rotate(t, "shop", `{}`)
	if one = show("shop", 0); one.Grace != "" {
		t.Error(one.Grace)
	}
}

// TestHistory: the API has what was counted, in every configuration since the start.
func TestHistory(t *testing.T) {
	throughReloads(t)
	g := live(t, "", liveSite)
	secret := g.create(t, `{"id":"shop"}`)
	sum := func() (verified, invalid uint64) {
		t.Helper()
		var h traffic.History
		g.askInto(t, "history", &h)
		for _, line := range []traffic.Timeline{h.Hour, h.Day} {
			verified, invalid = 0, 0
			for i, p := range line.Points {
				verified, invalid = verified+p.Verified, invalid+p.Reasons["invalid"]
				if p.At.After(h.Now) || i > 0 && p.At.Sub(line.Points[i-1].At) != time.Duration(line.StepSeconds)*time.Second {
					t.Errorf("point %d of %+v", i, line)
				}
			}
		}
		return verified, invalid
	}
	verified, invalid := sum()
	for n := range uint64(3) {
		equal(t, g.outcome(t, "shop", secret), "verified", "signed")
		equal(t, g.outcome(t, "shop", otherSecret), "invalid invalid", "forged")
		load(t, g.config)
		if v, i := sum(); v != verified+n+1 || i != invalid+n+1 {
			t.Errorf("%d verified and %d invalid, want %d and %d", v, i, verified+n+1, invalid+n+1)
		}
	}
	if c := g.call(t, "GET", "history?last=day", ""); c.status != 400 {
		t.Errorf("%d %s", c.status, c.body)
	}
	var v adminapi.Overview
	if g.askInto(t, "overview", &v); v.Gateway.Name == "" || v.Gateway.Version == "" || v.Gateway.Caddy == "" {
		t.Errorf("%+v", v.Gateway)
	}
}

// TestConcurrentGrace: requests are counted once each, by their secrets, while the API
// shows them.
func TestConcurrentGrace(t *testing.T) {
	g := live(t, "", liveSite)
	first := g.create(t, `{"id":"shop"}`)
	second := g.rotate(t, "shop", `{"grace":"24h"}`)
	const each = 30
	var group sync.WaitGroup
	group.Go(func() { // one after the other, as the upstream of these tests needs it
		for range each {
			for _, secret := range []string{first, second} {
				if got := g.outcome(t, "shop", secret); got != "verified" {
					t.Error(got)
				}
			}
		}
	})
	group.Go(func() {
		for range each {
			for _, path := range []string{"stats", "history", "overview", "widgets/shop/readiness"} {
				if c := g.call(t, "GET", path, ""); c.status != 200 {
					t.Error(c.body)
				}
			}
		}
	})
	group.Wait()
	var one adminapi.Widget
	g.askInto(t, "widgets/shop", &one)
	if fmt.Sprint(*one.Secrets[0].UsedLastHour, *one.Secrets[1].UsedLastHour) != fmt.Sprint(each, each) {
		t.Errorf("%+v", one.Secrets)
	}
}

// TestHours: evidence, uses and history over hours, with reloads between them.
func TestHours(t *testing.T) {
	throughReloads(t)
	var nanos atomic.Int64
	nanos.Store(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixNano())
	counts := countBy(t, func() time.Time { return time.Unix(0, nanos.Load()) })
	g := live(t, "", liveSite)
	pass := func(d time.Duration) {
		nanos.Add(int64(d))
		counts.Sample()
		load(t, g.config)
	}
	judged := func(verdict adminapi.Verdict, text string) {
		t.Helper()
		var v adminapi.Readiness
		g.askInto(t, "widgets/shop/readiness", &v)
		if v.Verdict != verdict || !strings.Contains(v.Text, text) || v.Evidence != (adminapi.Evidence{Verified: 20, Minutes: 60}) {
			t.Errorf("%s: %s, want %s: %s", v.Verdict, v.Text, verdict, text)
		}
	}
	verify := func(n int, secret string) {
		t.Helper()
		for range n {
			equal(t, g.outcome(t, "shop", secret), "verified", "signed")
		}
	}
	first := g.create(t, `{"id":"shop"}`)
	pass(time.Hour)
	judged(adminapi.Unknown, "no requests in the last 60 minutes")
	g.post(t, `{"text":"hi"}`, "X-Widget-Key: shop")
	judged(adminapi.NotSigning, "0 verified, and 1 request without a claim")
	verify(19, first)
	pass(59 * time.Minute)
	judged(adminapi.TooEarly, "(19 so far) and 60 minutes of counting (59 so far).")
	verify(1, first)
	judged(adminapi.TooEarly, "(20 so far) and 60 minutes of counting (59 so far).")
	pass(time.Minute)
	judged(adminapi.Unsigned, "of 21 requests in the last 2 hours, required mode would have refused 1, all without a claim.")

	second := g.rotate(t, "shop", `{"grace":"24h"}`)
	verify(2, second)
	grace := func(want string) {
		t.Helper()
		var one adminapi.Widget
		if g.askInto(t, "widgets/shop", &one); one.Grace != want {
			t.Error(one.Grace)
		}
	}
	grace("The old secret was last used at this gateway 1 minute ago, 1 time in the last hour.") // which is 55 to 60 minutes
	pass(2 * time.Hour)
	verify(1, second)
	grace("The old secret was last used at this gateway 2 hours ago, 0 times in the last hour: the grace can end: caddy chat-identity rotate shop --end-grace")

	g.call(t, "PATCH", "widgets/shop", `{"mode":"off"}`)
	judged(adminapi.TooEarly, "(0 so far: the effective mode is off, which verifies nothing)")
	equal(t, g.outcome(t, "shop", second), "disabled ", "in mode off")
	g.call(t, "PATCH", "widgets/shop", `{"mode":"optional"}`)
	judged(adminapi.TooEarly, "(0 so far: the latest requests came in mode off)")
	verify(1, second)
	pass(time.Hour)
	judged(adminapi.Unsigned, "would have refused 1")

	var h traffic.History
	g.askInto(t, "history", &h)
	byQuarter := map[string]string{}
	for _, p := range h.Day.Points {
		if sum := p.Verified + p.Disabled + p.Reasons["missing"]; sum > 0 {
			byQuarter[p.At.Format("15:04")] = fmt.Sprintln(p.Verified, p.Disabled, p.Reasons)
		}
	}
	want := map[string]string{
		"10:00": fmt.Sprintln(19, 0, map[string]int{"missing": 1}), "10:45": fmt.Sprintln(1, 0, "map[]"),
		"11:00": fmt.Sprintln(2, 0, "map[]"), "13:00": fmt.Sprintln(2, 1, "map[]"),
	}
	if !maps.Equal(byQuarter, want) || len(h.Day.Points) != 21 || len(h.Hour.Points) != 60 {
		t.Errorf("%v of %d quarters and %d minutes, want %v", byQuarter, len(h.Day.Points), len(h.Hour.Points), want)
	}
}
