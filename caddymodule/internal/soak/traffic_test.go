//go:build soak

package soak_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	random "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// request is one to the fleet.
type request struct {
	path, media, body string
	file              io.Reader // behind the body, and its end
	length            int
	header            []string
	gateway           int
	bare              bool
	fresh             bool // over a connection of its own
	widget, user      string
	into              any // in place of an answer of the backend
}

func (r request) at(gateway int) request { r.gateway = gateway; return r }

// ask sends a request once.
func (f *fleet) ask(r request) (a answer, err error) {
	g := f.gateways[r.gateway]
	address := g.site
	if r.bare {
		address = g.bare
	}
	body := io.Reader(strings.NewReader(r.body))
	if r.file != nil {
		body = io.MultiReader(body, r.file)
	}
	q, err := http.NewRequest("POST", "http://"+address+r.path, body)
	if err != nil {
		return a, err
	}
	if r.file != nil {
		q.ContentLength = int64(r.length)
	}
	q.Header.Set("Content-Type", r.media)
	q.Header.Set("X-Widget-Key", r.widget)
	// A connection that was kept alive may be closed just now by a reload. With this header,
	// Go's client sends the request again, as browsers do.
	if q.Close = r.fresh; !r.fresh {
		q.Header.Set("Idempotency-Key", "soak")
	}
	for i := 0; i < len(r.header); i += 2 {
		q.Header.Add(r.header[i], r.header[i+1])
	}
	response, err := f.http.Do(q)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	a.Status = response.StatusCode
	if r.into != nil {
		return a, json.Unmarshal(text, r.into)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		a.Reason = string(text)
	}
	return a, nil
}

// gateway is one that runs, by chance.
func (f *fleet) gateway(random *random.Rand) int {
	if i := random.IntN(2); f.gateways[i].up.Load() {
		return i
	}
	return 0
}

// client sends one request after another.
func (f *fleet) client(ctx context.Context, draw *random.Rand) {
	zipf := random.NewZipf(draw, 1.1, 50, numWidgets-1)
	for ctx.Err() == nil {
		i := int(zipf.Uint64())
		switch n := draw.IntN(1000); {
		case n < 430:
			f.honest(ctx, "verified", draw, func() request { return f.message(widgetID(i), secretOf(widgetID(i))) })
		case n < 600:
			f.honest(ctx, "bare", draw, func() request {
				r := f.message(widgetID(i), secretOf(widgetID(i)))
				r.bare, r.user, r.widget = true, "", ""
				return r
			})
		case n < 680:
			f.honest(ctx, "token", draw, func() request { return f.bearer(widgetID(i)) })
		case n < 690:
			f.honest(ctx, "session", draw, func() request { return f.inSession(i % known) })
		case n < 720:
			f.honest(ctx, "public key", draw, func() request { return f.memberToken(draw.IntN(500)) })
		case n < 800:
			f.honest(ctx, "anonymous", draw, func() request { return f.anonymous(widgetID(i)) })
		case n < 850:
			f.oneTime(ctx, draw, widgetID(i))
		case n < 870:
			f.honest(ctx, "conversation", draw, func() request { return f.talk(widgetID(i), "owner", i) })
		case n < 880:
			f.honest(ctx, "upload", draw, func() request { return f.upload(widgetID(i), draw.IntN(2) == 0) })
		case n < 920:
			f.honestLife(ctx, draw)
		default:
			f.hostile(draw, widgetID(i), i)
		}
		pause(ctx, draw)
	}
}

func pause(ctx context.Context, draw *random.Rand) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(draw.ExpFloat64() * float64(think))):
	}
}

// honest sends a request until it is answered as it deserves, and returns that. Only the end
// of a gateway and a reload may break a connection. 503 may be answered only while Redis is
// away, and only where it has to be asked.
func (f *fleet) honest(ctx context.Context, kind string, draw *random.Rand, create func() request) (sent request) {
	for ctx.Err() == nil {
		r := create().at(f.gateway(draw))
		began := time.Now()
		a, err := f.ask(r)
		switch {
		case err == nil && a.Status == 200 && a.User == r.user && (a.Widget == r.widget || r.user == ""):
			f.took(kind, time.Since(began))
			return r
		case err != nil && f.broken(r.gateway, began):
		case err == nil && a.Status == 503 && a.Reason == "unavailable" && f.away.since(began) && f.needsRedis(r):
			f.count("again", nil)
			time.Sleep(200 * time.Millisecond)
		default:
			f.count("refused", fmt.Errorf("%s of %s at gateway %d: %+v, %v", kind, r.widget, r.gateway, a, err))
			return request{}
		}
	}
	return request{}
}

// broken reports whether a connection may have been broken since then, and counts by what.
func (f *fleet) broken(gateway int, since time.Time) bool {
	switch {
	case gateway == 1 && f.cutting.since(since):
		f.count("cut", nil)
	case f.gateways[gateway].reloading.since(since):
		f.count("reloaded", nil)
	default:
		return false
	}
	return true
}

// needsRedis reports whether a request cannot be decided by what a gateway has in memory.
func (f *fleet) needsRedis(r request) bool {
	return r.path == "/once" || r.path == "/talk" || r.widget >= widgetID(known)
}

var chatText = strings.Repeat("Where is my order? I have been waiting for it since last week. ", 3)

func newUser() string { return "user-" + rand.Text()[:12] }

// signed is a body with a claim.
func signed(user, hash, more string) string {
	return fmt.Sprintf(`{"user_id":%q,"user_hash":%q,"text":%q%s}`, user, hash, chatText, more)
}

func (f *fleet) message(widget, secret string) request {
	user := newUser()
	return request{path: "/chat", media: "application/json", body: signed(user, sign(secret, user), ""), widget: widget, user: user}
}

func (f *fleet) talk(widget, user string, conversation int) request {
	return request{path: "/talk", media: "application/json", widget: widget, user: user,
		body: signed(user, sign(secretOf(widget), user), fmt.Sprintf(`,"conversation":"c-%d"`, conversation))}
}

func (f *fleet) anonymous(widget string) request {
	return request{path: "/open", media: "application/json", body: fmt.Sprintf(`{"text":%q}`, chatText), widget: widget}
}

func (f *fleet) withToken(path, widget, user, token string) request {
	return request{path: path, media: "application/json", body: fmt.Sprintf(`{"text":%q}`, chatText), widget: widget, user: user,
		header: []string{"Authorization", "Bearer " + token}}
}

func (f *fleet) bearer(widget string) request {
	user := newUser()
	return f.withToken("/token", widget, user, token(user, `{"alg":"HS256"}`, testbed.MAC(secretOf(widget))))
}

// memberTokens are sent again and again, as a page does.
var memberTokens sync.Map

func (f *fleet) memberToken(i int) request {
	user := fmt.Sprintf("member-%d", i)
	type page struct {
		token string
		until time.Time
	}
	if p, ok := memberTokens.Load(i); ok && time.Now().Before(p.(page).until) {
		return f.withToken("/member", "members", user, p.(page).token)
	}
	t := token(user, `{"alg":"ES256"}`, func(head string) []byte {
		digest := sha256.Sum256([]byte(head))
		return f.es256(digest[:])
	})
	memberTokens.Store(i, page{t, time.Now().Add(5 * time.Minute)})
	return f.withToken("/member", "members", user, t)
}

// session trades a claim for a session.
func (f *fleet) session(gateway int, widget, secret string) (token, user string, err error) {
	var answer struct{ Session struct{ Token string } }
	r := f.message(widget, secret).at(gateway)
	r.path, r.into = "/session/identify", &answer
	a, err := f.ask(r)
	if err == nil && answer.Session.Token == "" {
		err = fmt.Errorf("no session: %+v", a)
	}
	return answer.Session.Token, r.user, err
}

// sessions are of the known widgets, and are used again and again.
var sessions sync.Map

func (f *fleet) inSession(i int) request {
	type held struct{ token, user string }
	h, ok := sessions.Load(i)
	for !ok {
		began := time.Now()
		token, user, err := f.session(0, widgetID(i), secretOf(widgetID(i)))
		if err != nil && !f.broken(0, began) {
			f.count("refused", fmt.Errorf("a session of %s: %w", widgetID(i), err))
		}
		if ok = err == nil; !ok {
			time.Sleep(200 * time.Millisecond)
			continue
		}
		h, _ = sessions.LoadOrStore(i, held{token, user})
	}
	return f.withSession(widgetID(i), h.(held).user, h.(held).token)
}

func (f *fleet) withSession(widget, user, token string) request {
	return request{path: "/session", media: "application/json", body: fmt.Sprintf(`{"text":%q}`, chatText), widget: widget, user: user,
		header: []string{"X-Chat-Session", token}}
}

// file is what visitors upload, beyond what a gateway keeps in memory.
var file = bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16)

func (f *fleet) upload(widget string, claimLast bool) request {
	const boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
	user := newUser()
	field := func(name, value string) string {
		return fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, name, value)
	}
	claim := field("user_id", user) + field("user_hash", sign(secretOf(widget), user))
	head := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"clip.mp4\"\r\nContent-Type: video/mp4\r\n\r\n", boundary)
	tail := "\r\n--" + boundary + "--\r\n"
	if claimLast {
		tail = "\r\n" + claim + tail[2:]
	} else {
		head = claim + head
	}
	return request{path: "/chat", media: "multipart/form-data; boundary=" + boundary, widget: widget, user: user, fresh: true,
		body: head, file: io.MultiReader(bytes.NewReader(file), strings.NewReader(tail)), length: len(head) + len(file) + len(tail)}
}

func (f *fleet) opening(widget string) request {
	user, nonce, at := newUser(), rand.Text()+"abcdef", fmt.Sprint(time.Now().Unix())
	return request{path: "/once", media: "application/json", widget: widget, user: user, fresh: true,
		body: fmt.Sprintf(`{"user_id":%q,"hmacNonce":%q,"hmacTimestamp":%q,"hmacSignature":%q}`, user, nonce, at, sign(secretOf(widget), user+nonce+at))}
}

// oneTime spends a signature, and then sends it again at any gateway.
func (f *fleet) oneTime(ctx context.Context, draw *random.Rand, widget string) {
	if r := f.honest(ctx, "one-time", draw, func() request { return f.opening(widget) }); r.user != "" {
		f.forged(draw, "a spent signature", r, f.gateway(draw))
	}
}

// forged sends a request that nobody may believe.
func (f *fleet) forged(draw *random.Rand, how string, r request, gateway int) {
	began := time.Now()
	a, err := f.ask(r.at(gateway))
	switch {
	case err != nil && !f.broken(gateway, began):
		f.count("failed", fmt.Errorf("%s: %w", how, err))
	case err == nil && a.Status == 200 && (a.User != "" || r.path != "/open"):
		f.count("forged accepted", fmt.Errorf("%s at gateway %d: %+v", how, gateway, a))
	case err == nil && a.Status >= 500 && a.Reason != "unavailable":
		f.count("failed", fmt.Errorf("%s: %+v", how, a))
	}
	f.count("forged", nil)
}

// hostile sends one of the requests of forgers, or one of somebody whose secret was retired.
func (f *fleet) hostile(draw *random.Rand, widget string, i int) {
	user, secret := newUser(), secretOf(widget)
	r := f.message(widget, secret)
	if draw.IntN(2) == 0 {
		r.path = "/open"
	}
	how := ""
	switch draw.IntN(12) {
	case 0:
		how, r.body = "an invented signature", signed(user, sign(rand.Text(), user), "")
	case 1:
		how, r.body = "another user's signature", signed(user, sign(secret, newUser()), "")
	case 2:
		how, r.body = "another widget's signature", signed(user, sign(secretOf(widgetID(i+1)), user), "")
	case 3:
		how, r.body = "two users", strings.Replace(r.body, "{", `{"user_id":"admin",`, 1)
	case 4:
		how, r.body = "the gateway's own headers", "{}"
		r.header = []string{"X-Verified-User", "admin", "X-Verified-Widget", widget, "Connection", "X-Identity-Outcome"}
	case 5:
		how, r.body = "the gateway's own headers, in other spellings", "{}"
		r.header = []string{"X_Verified_User", "admin", "x-verified_USER", "admin", "Connection", "X-Verified-User"}
	case 6:
		how, r = "a token without a signature", f.withToken("/token", widget, user, token(user, `{"alg":"none"}`, func(string) []byte { return nil }))
	case 7:
		how, r = "a token of another widget", f.withToken("/token", widget, user, token(user, `{"alg":"HS256"}`, testbed.MAC(secretOf(widgetID(i+1)))))
	case 8:
		how, r = "a token by HMAC for a public key", f.withToken("/member", "members", user, token(user, `{"alg":"HS256"}`, testbed.MAC(secret)))
	case 9:
		how, r = "another user's conversation", f.talk(widget, "thief", i)
		if _, err := f.ask(f.talk(widget, "owner", i).at(0)); err != nil { // who may not have come yet
			return
		}
	default:
		f.late(draw)
		return
	}
	f.forged(draw, how, r, f.gateway(draw))
}

// late sends a request with a secret that was retired some time ago.
func (f *fleet) late(draw *random.Rand) {
	f.mu.Lock()
	n := len(f.retired)
	if n == 0 {
		f.mu.Unlock()
		return
	}
	// Half of them are of the last ones.
	gone := f.retired[max(0, n-1-draw.IntN(8))]
	if draw.IntN(2) == 0 {
		gone = f.retired[draw.IntN(n)]
	}
	f.mu.Unlock()
	f.tooLate(gone, f.gateway(draw))
}

// tooLate sends what a secret has proved that was retired before: a claim and a session.
func (f *fleet) tooLate(gone retirement, gateway int) {
	all := []request{f.message(gone.widget, gone.secret)}
	if gone.session != "" {
		all = append(all, f.withSession(gone.widget, "", gone.session))
	}
	for _, r := range all {
		a, err := f.ask(r.at(gateway))
		f.count("late", nil)
		if err == nil && a.Status == 200 {
			f.count("late accepted", fmt.Errorf("%s, %s of %s at gateway %d, %v after it", r.path, gone.how, gone.widget, gateway, time.Since(gone.at)))
		}
	}
}
