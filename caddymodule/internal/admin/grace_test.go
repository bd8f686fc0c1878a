package admin

import (
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func TestGraceText(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	used := func(ago time.Duration, lastHour uint64) adminapi.Secret {
		return adminapi.Secret{LastUsed: now.Add(-ago), UsedLastHour: &lastHour}
	}
	unused := adminapi.Secret{}
	const never = " not been used at this gateway since 2026-03-01 04:00:00 UTC (5 hours ago)"
	for _, test := range []struct {
		source  string
		counted time.Duration
		secrets []adminapi.Secret
		want    string
	}{
		{"stored", 5 * time.Hour, []adminapi.Secret{unused}, ""},
		{"stored", 5 * time.Hour, []adminapi.Secret{used(0, 9), used(3*time.Minute, 12)}, "The old secret was last used at this gateway 3 minutes ago, 12 times in the last hour."},
		{"stored", 5 * time.Hour, []adminapi.Secret{used(0, 9), unused, used(3*time.Minute, 1)}, "The 2 old secrets were last used at this gateway 3 minutes ago, 1 time in the last hour."},
		{"stored", 5 * time.Hour, []adminapi.Secret{used(0, 9), unused}, "The old secret has" + never + ": the grace can end: caddy chat-identity rotate shop --end-grace"},
		{"stored", 5 * time.Hour, []adminapi.Secret{used(0, 9), used(2*time.Hour, 0)},
			"The old secret was last used at this gateway 2 hours ago, 0 times in the last hour: the grace can end: caddy chat-identity rotate shop --end-grace"},
		{"inline", 5 * time.Hour, []adminapi.Secret{used(0, 9), unused, unused},
			"The 2 old secrets have" + never + ": if that is so at every gateway, the configuration needs the new one alone."},
		{"stored", 5 * time.Hour, []adminapi.Secret{unused, unused},
			"The old secret has" + never + ", and the new one not since then: nothing shows yet that the customer's server signs with it."},
		{"stored", 5 * time.Hour, []adminapi.Secret{used(3*time.Hour, 0), used(2*time.Hour, 0)},
			"The old secret was last used at this gateway 2 hours ago, 0 times in the last hour, and the new one not since then: nothing shows yet that the customer's server signs with it."},
		{"stored", time.Minute, []adminapi.Secret{used(0, 9), unused},
			"The old secret has not been used at this gateway since 2026-03-01 08:59:00 UTC (1 minute ago), which is too short to tell whether it is needed."},
		{"stored", 0, []adminapi.Secret{unused, unused}, "Whether the old secrets are still used is not known: this gateway counts only its busiest widgets one by one."},
	} {
		w := &adminapi.Widget{ID: "shop", Source: test.source, Secrets: test.secrets}
		if test.counted > 0 {
			w.UsesSince = now.Add(-test.counted)
		}
		if got := graceText(w, now); got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}
