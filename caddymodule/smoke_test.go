package caddymodule

import "testing"

func TestSignedRequestIsForwardedAndForgedIsNot(t *testing.T) {
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\n}")
	if a := g.post(t, claim("zoë")); a.StatusCode != 200 || a.seen == nil || a.seen.user() != "zo%C3%AB" || a.seen.Body != claim("zoë") {
		t.Errorf("signed: %d %+v", a.StatusCode, a.seen)
	}
	a := g.post(t, `{"user_id":"zoe","user_hash":"`+sign("ada")+`"}`)
	if p := a.problem(t); a.StatusCode != 401 || a.seen != nil || p.Code != "identity_unverified" || p.Reason != "invalid" {
		t.Errorf("forged: %d %s %+v", a.StatusCode, a.body, a.seen)
	}
}
