package main

import (
	"net/http"
	"testing"
)

// mergedBy returns what an answer says was merged.
func mergedBy(t *testing.T, answer map[string]any) map[string]any {
	t.Helper()
	seen, ok := answer["received"].(map[string]any)
	if !ok {
		t.Fatalf("answered %v", answer)
	}
	m, _ := seen["merged"].(map[string]any)
	return m
}

func mergingAda() http.Header {
	return with(from("w1", "usr_ada"), "X-Identity-Merge-From", visitorA)
}

func TestMergingTwiceIsMergingOnce(t *testing.T) {
	h := testBackend()
	say(t, h, "c1", visitorA, "one", anonymous())
	say(t, h, "c1", visitorA, "two", anonymous())
	say(t, h, "c2", visitorA, "three", anonymous())
	say(t, h, "c3", visitorB, "somebody else's", anonymous())

	for i, want := range []struct{ merged, messages float64 }{{3, 4}, {0, 5}, {0, 6}} {
		status, answer := say(t, h, "c1", visitorA, "it is me", mergingAda())
		if m := mergedBy(t, answer); status != 200 || m["visitor"] != visitorA || m["messages"] != want.merged {
			t.Errorf("%d: %d, merged %v, want %v", i, status, m, want.merged)
		}
		contact := answer["received"].(map[string]any)["contact"].(map[string]any)
		if contact["messages"] != want.messages {
			t.Errorf("%d: the contact has %v messages, want %v", i, contact["messages"], want.messages)
		}
	}

	_, answer := read(t, h, "c1", visitorB, from("w1", "usr_ada"))
	messages := answer["messages"].([]any)
	if len(messages) != 10 {
		t.Fatalf("%d messages, want 10", len(messages))
	}
	for i, m := range messages {
		m := m.(map[string]any)
		if merged := m["merged"] == true; merged != (i == 0 || i == 2) {
			t.Errorf("message %d: %v", i, m)
		}
		if verified := m["verified"] == true; verified != (i >= 4 && i%2 == 0) {
			t.Errorf("message %d: a merged message was not verified when it was sent: %v", i, m)
		}
	}
	if status, _ := read(t, h, "c2", visitorA, from("w1", "usr_ada")); status != 200 {
		t.Errorf("the visitor's other conversation: %d", status)
	}
	if status, _ := read(t, h, "c3", visitorA, from("w1", "usr_ada")); status != 403 {
		t.Errorf("another visitor's conversation: %d", status)
	}
}

func TestMergedVisitorIsGone(t *testing.T) {
	h := testBackend()
	say(t, h, "c1", visitorA, "hi", anonymous())
	say(t, h, "c1", visitorA, "it is me", mergingAda())
	for _, conversation := range []string{"c1", "c2"} {
		if status, _ := say(t, h, conversation, visitorA, "still me", anonymous()); status != http.StatusForbidden {
			t.Errorf("the visitor who is Ada now wrote into %s: %d", conversation, status)
		}
		if status, _ := read(t, h, conversation, visitorA, anonymous()); status != http.StatusForbidden {
			t.Errorf("the visitor who is Ada now read %s: %d", conversation, status)
		}
	}
	status, answer := read(t, h, "new-device", visitorB, with(from("w1", "usr_ada"), "Cookie", browserB))
	if messages := answer["messages"].([]any); status != 200 || answer["conversation"] != "c1" || len(messages) != 4 {
		t.Errorf("on another device: %d %v with %d messages", status, answer["conversation"], len(messages))
	}
}

// A 2xx would tell the gateway that the merging is done, and the user to whom it
// is due would never have it.
func TestRefusesToMerge(t *testing.T) {
	grace := with(from("w1", "1906"), "X-Identity-Merge-From", visitorA)
	cases := []struct {
		name   string
		header http.Header
		prior  http.Header // who had the visitor before, if anybody
	}{
		{"a visitor of another browser", with(grace, "Cookie", browserB), nil},
		{"a visitor without its browser's cookie", with(grace, "Cookie", "other=1"), nil},
		{"a visitor who became another user", grace, mergingAda()},
		{"a visitor who became the same id of another widget", with(grace, "X-Verified-User", "usr_ada"), with(mergingAda(), "X-Verified-Widget", "w2")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := testBackend()
			say(t, h, "c1", visitorA, "hi", anonymous())
			rightful, want := mergingAda(), 1.0
			if c.prior != nil {
				say(t, h, "c1", visitorA, "it is me", c.prior)
				rightful, want = c.prior, 0
			}
			for _, conversation := range []string{"c1", "graces-own"} {
				if status, answer := say(t, h, conversation, visitorA, "that was me", c.header); status != 403 || answer["code"] != "not_yours" {
					t.Errorf("into %s: %d %v", conversation, status, answer)
				}
			}
			if status, answer := say(t, h, "c1", visitorA, "it is me", rightful); status != 200 || mergedBy(t, answer)["messages"] != want {
				t.Errorf("whose visitor it is: %d %v", status, answer)
			}
		})
	}
}

func TestOnlyAcceptedMessagesMerge(t *testing.T) {
	h := testBackend()
	say(t, h, "c1", visitorA, "hi", anonymous())
	say(t, h, "graces", visitorB, "hi", from("w1", "1906"))
	if status, answer := read(t, h, "c1", visitorA, mergingAda()); status != 200 || len(answer["messages"].([]any)) != 2 {
		t.Errorf("who is about to be merged reads: %d %v", status, answer)
	}
	if status, _ := say(t, h, "c1", visitorA, " ", mergingAda()); status != 400 {
		t.Errorf("an empty message: %d", status)
	}
	if status, _ := say(t, h, "graces", visitorA, "hi", mergingAda()); status != 403 {
		t.Errorf("a message to Grace's conversation: %d", status)
	}
	if status, _ := read(t, h, "c1", visitorA, anonymous()); status != 200 {
		t.Errorf("something merged the visitor: %d", status)
	}
	if _, answer := say(t, h, "c1", visitorA, "it is me", mergingAda()); mergedBy(t, answer)["messages"] != 1.0 {
		t.Errorf("merged %v", mergedBy(t, answer))
	}
}

func TestMergesVisitorsThatWroteNothing(t *testing.T) {
	h := testBackend()
	if status, answer := say(t, h, "c1", visitorA, "hi", mergingAda()); status != 200 || mergedBy(t, answer)["messages"] != 0.0 {
		t.Errorf("answered %d %v", status, answer)
	}
	if status, _ := say(t, h, "c1", visitorA, "hi", with(mergingAda(), "Cookie", browserB)); status != 200 {
		t.Errorf("the same once more, on another device: %d", status)
	}
}

func TestBrowserCookie(t *testing.T) {
	h := testBackend()
	body := `{"conversation":"c1","visitor":"` + visitorA + `","text":"hi"}`
	_, _, header := call(t, h, "POST", "/chat/messages", body, anonymous())
	cookie, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	if err != nil || cookie.Name != browserCookie || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Fatalf("cookie %v %v", cookie, err)
	}
	known := with(anonymous(), "Cookie", browserCookie+"="+cookie.Value)
	status, _, header := call(t, h, "POST", "/chat/messages", body, known)
	if status != 200 || header.Get("Set-Cookie") != "" {
		t.Errorf("the same browser: %d, cookie %q", status, header.Get("Set-Cookie"))
	}
	// One that somebody chose could be anybody's, and of any size.
	_, _, header = call(t, h, "POST", "/chat/messages", body, with(anonymous(), "Cookie", browserCookie+"=x"))
	if header.Get("Set-Cookie") == "" {
		t.Error("a cookie that the backend never made was taken for a browser's")
	}
}
