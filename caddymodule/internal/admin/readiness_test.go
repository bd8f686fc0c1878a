package admin

import (
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

func TestJudge(t *testing.T) {
	refusals := func(reasons ...judgment.Reason) (all []traffic.ReasonCounts) {
		for _, reason := range reasons {
			all = append(all, traffic.ReasonCounts{Reason: reason, Count: 1})
		}
		return all
	}
	for _, test := range []struct {
		name string
		r    traffic.Readiness
		want adminapi.Verdict
	}{
		{"nothing", traffic.Readiness{}, adminapi.Unknown},
		{"mode off", traffic.Readiness{Mode: "off", Requests: 3, Disabled: 3}, adminapi.Unknown},
		{"all verified", traffic.Readiness{Mode: "optional", Requests: 3, Verified: 3}, adminapi.Ready},
		{"mode off, then verified", traffic.Readiness{Mode: "optional", Requests: 3, Verified: 1, Disabled: 2}, adminapi.Ready},
		{"without claims", traffic.Readiness{Mode: "optional", Requests: 3, Verified: 2, Refused: 1, Refusals: refusals(judgment.Missing)}, adminapi.Unsigned},
		{"forged", traffic.Readiness{Mode: "optional", Requests: 3, Verified: 2, Refused: 1, Refusals: refusals(judgment.Invalid)}, adminapi.NotReady},
		{"forged, and without claims", traffic.Readiness{Mode: "optional", Requests: 3, Verified: 1, Refused: 2, Refusals: refusals(judgment.Invalid, judgment.Missing)}, adminapi.NotReady},
		{"required", traffic.Readiness{Mode: "required", Requests: 3, Verified: 3}, adminapi.Required},
		{"required, nothing yet", traffic.Readiness{Mode: "required"}, adminapi.Required},
		{"required, refused", traffic.Readiness{Mode: "required", Requests: 3, Refused: 3, Refusals: refusals(judgment.Invalid)}, adminapi.Required},
	} {
		if got := judge(&test.r); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
