package main

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// toldToMerge returns what the gateway told the backend to merge, and how many
// messages the backend merged then.
func toldToMerge(t *testing.T, answer map[string]any) (visitor string, messages any) {
	t.Helper()
	seen, ok := answer["received"].(map[string]any)
	if !ok {
		t.Fatalf("answered %v", answer)
	}
	visitor, _ = seen["headers"].(map[string]any)["X-Identity-Merge-From"].(string)
	if m, ok := seen["merged"].(map[string]any); ok {
		messages = m["messages"]
	}
	return visitor, messages
}

func testMerging(t *testing.T, s *stand) {
	ada := s.browser(t, visitorA)
	check := func(t *testing.T, b *browser, conversation, text string, wantStatus int, wantVisitor string, wantMessages any) {
		t.Helper()
		status, answer := b.say(t, "optional", conversation, text)
		if status != wantStatus {
			t.Fatalf("answered %d %v, want %d", status, answer, wantStatus)
		}
		if status != 200 {
			return
		}
		if visitor, messages := toldToMerge(t, answer); visitor != wantVisitor || messages != wantMessages {
			t.Fatalf("merged %v messages of %q, want %v of %q", messages, visitor, wantMessages, wantVisitor)
		}
	}
	check(t, ada, "c1", "one", 200, "", nil)
	check(t, ada, "c1", "two", 200, "", nil)
	ada.signIn(t, "ada")

	t.Run("a read tells, and settles nothing", func(t *testing.T) {
		for range 2 {
			status, answer := ada.read(t, "optional", "c1")
			if status != 200 || len(answer["messages"].([]any)) != 4 {
				t.Fatalf("answered %d %v", status, answer)
			}
			if visitor, messages := toldToMerge(t, answer); visitor != visitorA || messages != nil {
				t.Errorf("merged %v messages of %q", messages, visitor)
			}
		}
	})
	t.Run("told until a message was accepted", func(t *testing.T) {
		check(t, ada, "c1", " ", 400, "", nil)
		check(t, ada, "c1", "it is me", 200, visitorA, 2.0)
		check(t, ada, "c1", "and again", 200, "", nil)
	})
	t.Run("a gateway that was killed knows what was accepted", func(t *testing.T) {
		s.restart()
		check(t, ada, "c1", "still here", 200, "", nil)
	})
	t.Run("and what was not", func(t *testing.T) {
		phone := s.browser(t, visitorB)
		check(t, phone, "c2", "on the phone", 200, "", nil)
		phone.signIn(t, "ada")
		check(t, phone, "c2", " ", 400, "", nil)
		s.restart()
		check(t, phone, "c2", "me again", 200, visitorB, 1.0)
		check(t, phone, "c2", "and again", 200, "", nil)
	})
	t.Run("a visitor is merged into one user", func(t *testing.T) {
		ada.signIn(t, "grace")
		check(t, ada, "graces", "hello", 200, "", nil)
	})
	elsewhere := t.TempDir()
	t.Run("a gateway that has forgotten it tells again, and nothing changes", func(t *testing.T) {
		ada.signIn(t, "ada")
		_, answer := ada.read(t, "required", "c1")
		before := answer["messages"].([]any)
		s.home = elsewhere
		s.restart()
		// It has forgotten its signing key as well.
		visitor := s.browser(t, "33333333-3333-4333-8333-333333333333")
		testbed.Until(t, "the backend to know the gateway's new key", func() bool {
			status, _ := visitor.read(t, "optional", "new")
			return status == 200
		})
		check(t, ada, "c1", "once more", 200, visitorA, 0.0)
		check(t, ada, "c1", "and more", 200, "", nil)
		_, answer = ada.read(t, "required", "c1")
		if after := answer["messages"].([]any); len(after) != len(before)+4 || !reflect.DeepEqual(before, after[:len(before)]) {
			t.Errorf("%v before, %v after", before, after)
		}
	})
	t.Run("who only knows a visitor's id gets nothing", func(t *testing.T) {
		const visitorC = "33333333-3333-4333-8333-333333333333"
		victim, thief := s.browser(t, visitorC), s.browser(t, visitorC)
		check(t, victim, "c3", "a secret", 200, "", nil)
		thief.signIn(t, "grace")
		for _, conversation := range []string{"c3", "thief"} {
			status, answer := thief.say(t, "optional", conversation, "that was me")
			if status != 403 || answer["code"] != "not_yours" {
				t.Errorf("into %s: %d %v", conversation, status, answer)
			}
		}
		check(t, victim, "c3", "still mine", 200, "", nil)
	})
}

func testConversations(t *testing.T, s *stand) {
	ada, phone := s.browser(t, visitorA), s.browser(t, "the-visitor-of-the-phone")
	grace, stranger := s.browser(t, visitorB), s.browser(t, visitorA) // who knows all ids
	ada.signIn(t, "ada")
	phone.signIn(t, "ada")
	grace.signIn(t, "grace")
	if status, answer := ada.say(t, "optional", "c1", "hello"); status != 200 {
		t.Fatalf("answered %d %v", status, answer)
	}

	cases := []struct {
		name, mode, code string
		by               *browser
		status           int
	}{
		{"its user on the phone", "required", "", phone, 200},
		{"another user", "optional", "identity_conversation_claimed", grace, 403},
		{"another user, required", "required", "identity_conversation_claimed", grace, 403},
		{"another user, unchecked", "off", "not_yours", grace, 403},
		{"a stranger", "optional", "identity_conversation_claimed", stranger, 403},
		{"a stranger, required", "required", "identity_unverified", stranger, 401},
		{"a stranger, unchecked", "off", "not_yours", stranger, 403},
	}
	for _, when := range []string{"", ", after the gateway was killed"} {
		for _, c := range cases {
			t.Run(c.name+when, func(t *testing.T) {
				if status, answer := c.by.say(t, c.mode, "c1", "let me in"); status != c.status || c.status != 200 && answer["code"] != c.code {
					t.Errorf("writing: %d %v, want %d %s", status, answer, c.status, c.code)
				}
				if status, answer := c.by.read(t, c.mode, "c1"); status != c.status || c.status != 200 && answer["code"] != c.code {
					t.Errorf("reading: %d %v, want %d %s", status, answer, c.status, c.code)
				}
			})
		}
		if when == "" {
			s.restart()
		}
	}
	if _, answer := ada.read(t, "required", "c1"); len(answer["messages"].([]any)) != 6 {
		t.Errorf("Ada reads %v", answer["messages"])
	}

	t.Run("nobody's yet, as far as the gateway knows", func(t *testing.T) {
		visitor := s.browser(t, "a-visitor-of-their-own")
		if status, answer := visitor.say(t, "optional", "c2", "hello"); status != 200 {
			t.Fatalf("answered %d %v", status, answer)
		}
		if status, answer := grace.say(t, "optional", "c2", "let me in"); status != 403 || answer["code"] != "not_yours" {
			t.Errorf("the backend let Grace in: %d %v", status, answer)
		}
		// What the backend has not accepted is not Grace's for the gateway, either.
		if status, answer := visitor.say(t, "optional", "c2", "still here"); status != 200 {
			t.Errorf("answered %d %v", status, answer)
		}
	})
}

func testCalls(t *testing.T, s *stand) {
	ada := s.browser(t, visitorA)
	ada.signIn(t, "ada")
	sign := func(t *testing.T, asked string) map[string]any {
		t.Helper()
		status, claim := ada.send(t, "POST", "/session/call", []byte(asked))
		if status != 200 {
			t.Fatalf("signing was answered %d %v", status, claim)
		}
		return claim
	}
	check := func(t *testing.T, path string, claim any, wantStatus int, wantReason any) {
		t.Helper()
		if status, answer := ada.post(t, path, claim); status != wantStatus || answer["reason"] != wantReason {
			t.Errorf("answered %d %v, want %d %v", status, answer, wantStatus, wantReason)
		}
	}

	first := sign(t, `{}`)
	status, answer := ada.post(t, "/calls", first)
	if status != 200 {
		t.Fatalf("answered %d %v", status, answer)
	}
	seen := answer["received"].(map[string]any)
	if c := seen["contact"].(map[string]any); seen["widget"] != callsWidget || seen["user"] != "usr_ada" || c["calls"] != 1.0 || c["email"] != "ada@example.com" {
		t.Errorf("the backend saw %v", seen)
	}
	t.Run("replayed", func(t *testing.T) {
		check(t, "/calls", first, 403, "replayed")
		check(t, "/calls", sign(t, `{}`), 200, nil)
		check(t, "/calls", first, 403, "replayed")
	})
	t.Run("replayed after the gateway was killed", func(t *testing.T) {
		s.restart()
		check(t, "/calls", first, 403, "replayed")
	})
	t.Run("expired", func(t *testing.T) { check(t, "/calls", sign(t, `{"old":true}`), 401, "expired") })
	t.Run("a minute is too old", func(t *testing.T) {
		made := newSessions(testSecrets, time.Now)
		check(t, "/calls", made.signOnce(accounts["ada"], time.Now().Add(-63*time.Second)), 401, "expired")
		check(t, "/calls", made.signOnce(accounts["ada"], time.Now().Add(-30*time.Second)), 200, nil)
	})
	t.Run("an integer id", func(t *testing.T) {
		check(t, "/calls", newSessions(testSecrets, time.Now).signOnce(accounts["grace"], time.Now()), 200, nil)
	})
	t.Run("missing", func(t *testing.T) { check(t, "/calls", map[string]any{}, 401, "missing") })
	t.Run("for somebody else", func(t *testing.T) {
		claim := sign(t, `{}`)
		claim["user_id"] = 1906
		check(t, "/calls", claim, 403, "invalid")
	})
	t.Run("made young again", func(t *testing.T) {
		claim := sign(t, `{"old":true}`)
		claim["hmacTimestamp"] = fmt.Sprint(time.Now().Unix())
		check(t, "/calls", claim, 403, "invalid")
	})
	t.Run("a message's signature opens no call", func(t *testing.T) {
		check(t, "/calls", ada.claim, 401, "partial")
		if status, answer := ada.post(t, "/optional/calls", ada.claim); status != 403 || answer["code"] != "not_here" {
			t.Errorf("by the chat's route: %d %v", status, answer)
		}
	})
	t.Run("a call's signature makes no chat user", func(t *testing.T) {
		claim := sign(t, `{}`)
		message := map[string]any{
			"conversation": "c9", "visitor": visitorA, "text": "hello",
			"user_id": fmt.Sprint(claim["user_id"], claim["hmacNonce"], claim["hmacTimestamp"]), "user_hash": claim["hmacSignature"],
		}
		check(t, "/required/chat/messages", message, 401, "invalid")
	})
}

// testLive: a one-time claim opens a conversation and a WebSocket, by the session for which it
// is traded.
func testLive(t *testing.T, s *stand) {
	ada := s.browser(t, visitorA)
	claim := newSessions(testSecrets, time.Now).signOnce(accounts["ada"], time.Now())
	status, answer := ada.post(t, "/calls/identify", claim)
	session, _ := answer["session"].(map[string]any)
	token, _ := session["token"].(string)
	if status != 200 || token == "" || session["expires_in"] != 600.0 {
		t.Fatalf("identify answered %d %v", status, answer)
	}
	if status, answer := ada.post(t, "/calls/identify", claim); status != 403 || answer["reason"] != "replayed" {
		t.Errorf("traded again: %d %v", status, answer)
	}
	if status, answer := ada.post(t, "/calls", claim); status != 403 || answer["reason"] != "replayed" {
		t.Errorf("used after it was traded: %d %v", status, answer)
	}
	ada.header.Set("X-Chat-Session", token)
	for i, text := range []string{"hello", "are you there?", "good"} {
		status, answer := ada.post(t, "/calls/messages", map[string]any{"conversation": "live", "text": text})
		if status != 200 {
			t.Fatalf("message %d was answered %d %v", i, status, answer)
		}
		seen := answer["received"].(map[string]any)
		if seen["user"] != "usr_ada" || seen["widget"] != callsWidget || strings.Contains(fmt.Sprint(seen), token) {
			t.Errorf("the backend saw %v", seen)
		}
	}
	bob := s.browser(t, visitorB)
	if status, answer := bob.post(t, "/calls/messages", map[string]any{"conversation": "live", "text": "hello"}); status != 401 || answer["reason"] != "missing" {
		t.Errorf("without a session: %d %v", status, answer)
	}
	_, answer = bob.post(t, "/calls/identify", newSessions(testSecrets, time.Now).signOnce(accounts["grace"], time.Now()))
	bob.header.Set("X-Chat-Session", answer["session"].(map[string]any)["token"].(string))
	if status, answer := bob.post(t, "/calls/messages", map[string]any{"conversation": "live", "text": "hello"}); status != 403 || answer["reason"] != "conversation_claimed" {
		t.Errorf("another user's session: %d %v", status, answer)
	}
	// A session of calls makes no chat user.
	if status, answer := ada.post(t, "/required/chat/messages", map[string]any{"conversation": "c1", "visitor": visitorA, "text": "hello"}); status != 401 || answer["reason"] != "missing" {
		t.Errorf("in the chat: %d %v", status, answer)
	}
	for query, opens := range map[string]bool{"?chat_session=" + token: true, "?chat_session=" + token[:40]: false, "": false} {
		ws, err := websocket.Dial("ws"+strings.TrimPrefix(s.base, "http")+"/calls/live"+query, "", s.base)
		if (err == nil) != opens {
			t.Errorf("a WebSocket with %.20q: %v", query, err)
		}
		if err != nil {
			continue
		}
		defer ws.Close()
		var greeting, echo string
		if err := errors.Join(websocket.Message.Receive(ws, &greeting), websocket.Message.Send(ws, "hello"), websocket.Message.Receive(ws, &echo)); err != nil || greeting != "On the line: usr_ada" || echo != "hello" {
			t.Errorf("%q, %q, %v", greeting, echo, err)
		}
	}
}

func testIdentify(t *testing.T, s *stand) {
	web := s.browser(t, visitorA)
	web.signIn(t, "grace")
	grace := web.claim
	web.signIn(t, "ada")
	about := map[string]any{"name": "Mallory", "email": "mallory@example.com"}
	forged := map[string]any{"user_id": "1906", "user_hash": web.claim["user_hash"], "user_metadata": about}

	verified := func(id string) map[string]any {
		return map[string]any{"verified": true, "user": map[string]any{"id": id}}
	}
	disabled := map[string]any{"status": "disabled"}
	nobody := map[string]any{"verified": false, "prefill": map[string]any{}}
	cases := []struct {
		name, mode string
		claim      map[string]any
		want       map[string]any // nil for a refusal
	}{
		{"nobody, off", "off", nil, disabled},
		{"signed, off", "off", web.claim, disabled},
		{"nobody, optional", "optional", nil, nobody},
		{"signed, optional", "optional", web.claim, verified("usr_ada")},
		{"forged, optional", "optional", forged, map[string]any{"verified": false, "prefill": about}},
		{"unsigned, optional", "optional", map[string]any{"user_metadata": about}, map[string]any{"verified": false, "prefill": about}},
		{"nobody, required", "required", nil, nil},
		{"signed, required", "required", grace, verified("1906")},
		{"forged, required", "required", forged, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			body := map[string]any{"conversation": "asked-for", "visitor": visitorA}
			for field, value := range c.claim {
				body[field] = value
			}
			status, answer := web.post(t, "/"+c.mode+"/chat/identify", body)
			if c.want == nil {
				if status != 401 || answer["code"] != "identity_unverified" {
					t.Errorf("answered %d %v", status, answer)
				}
				return
			}
			if status != 200 || !reflect.DeepEqual(answer, c.want) {
				t.Errorf("answered %d %v, want %v", status, answer, c.want)
			}
		})
	}
	t.Run("takes nothing", func(t *testing.T) {
		web.claim = grace
		status, answer := web.say(t, "required", "asked-for", "hello")
		if visitor, _ := toldToMerge(t, answer); status != 200 || visitor != visitorA {
			t.Errorf("answered %d %v", status, answer)
		}
	})
}
