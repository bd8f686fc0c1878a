package main

import (
	"crypto/rand"
	"net/http"
	"time"
)

const (
	browserCookie = "chat_demo_browser"
	browserLife   = 90 * 24 * time.Hour
)

// sender is who a request is from.
type sender struct {
	identity
	visitor string // the id that the page gave its anonymous visitor
	browser string // a token of the browser
}

// browserOf returns the browser's token. A visitor's id is in URLs and logs, and is
// sent by scripts, so it only says who someone claims to have been. The token, in a
// cookie that no script can read, proves it.
func browserOf(r *http.Request) string {
	c, err := r.Cookie(browserCookie)
	if err != nil || len(c.Value) != len(rand.Text()) {
		return ""
	}
	return c.Value
}

// markBrowser returns the browser's token, and sets one with its first message.
func markBrowser(w http.ResponseWriter, r *http.Request) string {
	if known := browserOf(r); known != "" {
		return known
	}
	c := &http.Cookie{
		Name: browserCookie, Value: rand.Text(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(browserLife.Seconds()),
	}
	http.SetCookie(w, c)
	return c.Value
}
