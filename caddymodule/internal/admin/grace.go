package admin

import (
	"fmt"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// addUses adds to a view what the widget's secrets were used for, and whether those in
// grace can end.
func (g *Gateway) addUses(w *adminapi.Widget) {
	if g.Offline {
		return
	}
	uses, since := g.Traffic.Uses(w.ID)
	w.UsesSince = since.UTC()
	for i := range w.Secrets {
		s := &w.Secrets[i]
		use := uses[s.Version]
		s.LastUsed, s.UsedLastHour = use.Last, &use.LastHour
	}
	for i := range w.PublicKeys {
		k := &w.PublicKeys[i]
		use := uses[k.Thumbprint]
		k.LastUsed, k.UsedLastHour = use.Last, &use.LastHour
	}
	w.Grace = graceText(w, g.Traffic.Now())
}

// longEnough is for how long an old secret must not have been used before the grace is said
// to be over.
const longEnough = time.Hour

// graceText says how much the old secrets are still used, "" if there are none.
func graceText(w *adminapi.Widget, now time.Time) string {
	if len(w.Secrets) < 2 {
		return ""
	}
	var last time.Time
	n := uint64(0)
	for _, s := range w.Secrets[1:] {
		if s.UsedLastHour != nil {
			n += *s.UsedLastHour
		}
		if s.LastUsed.After(last) {
			last = s.LastUsed
		}
	}
	old, was, has := "The old secret", "was", "has"
	if len(w.Secrets) > 2 {
		old, was, has = fmt.Sprintf("The %d old secrets", len(w.Secrets)-1), "were", "have"
	}
	since := fmt.Sprintf("%s %s last used at this gateway %s ago, %s in the last hour", old, was, roughly(now.Sub(last)), adminapi.Count(n, "time"))
	if last.IsZero() {
		last = w.UsesSince
		since = fmt.Sprintf("%s %s not been used at this gateway since %s (%s ago)", old, has, last.Format("2006-01-02 15:04:05 MST"), roughly(now.Sub(last)))
	}
	switch current := w.Secrets[0].LastUsed; {
	case last.IsZero():
		return "Whether the old secrets are still used is not known: this gateway counts only its busiest widgets one by one."
	case n > 0:
		return since + "."
	case now.Sub(last) < longEnough:
		return since + ", which is too short to tell whether it is needed."
	case !current.After(last):
		return since + ", and the new one not since then: nothing shows yet that the customer's server signs with it."
	case w.Source != "stored":
		return since + ": if that is so at every gateway, the configuration needs the new one alone."
	}
	return since + ": the grace can end: caddy chat-identity rotate " + w.ID + " --end-grace"
}
