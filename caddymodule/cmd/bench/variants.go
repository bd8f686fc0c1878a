package main

import "slices"

// variant is a site of the gateway.
type variant struct {
	name, site string
	unsigned   bool     // whether to send a claim that does not verify
	headers    string   // besides those of every request
	peer       *variant // what it is also compared with, or nil
	// tokens returns so many tokens, which take the place of TOKEN in headers. The body
	// has no claim then.
	tokens func(n int) []string
	// distinct has each request of a turn bring a different token.
	distinct bool
	// users is how many users send in turn, 0 for one. All are there before the first round.
	users int
}

const (
	// The headers of a verified request, set without verification.
	sameHeaders = "request_header X-Verified-User " + user + "\nrequest_header X-Verified-Widget " + widgetID +
		"\nrequest_header X-Identity-Outcome verified\n"
	verifies = "chat_identity required {\nwidget " + widgetID + "\nsecret {env.BENCH_SECRET}\n}\n"

	asserts = "chat_identity required {\nwidget " + widgetID + "\nsecret {env.BENCH_SECRET}\nassertion https://backend.internal\n}\n"

	// How a token comes, and what verifies it.
	bearer    = "Authorization: Bearer TOKEN\r\n"
	publicKey = "public_key {env.BENCH_PUBLIC_KEY}\ntoken {\nalgorithm RS256\n}"

	proxy = "reverse_proxy BACKEND"
	// buffering is the proxy of docs/performance.md: head and body go out in one
	// write, and more connections are kept.
	buffering = "reverse_proxy BACKEND {\nrequest_buffers 16KiB\ntransport http {\nwrite_buffer 32KiB\nkeepalive_idle_conns_per_host 256\n}\n}"
)

// takes returns a handler that takes tokens, and signatures as well where the key is a
// secret.
func takes(widget, key string) string {
	return "chat_identity required {\nwidget " + widget + "\n" + key + "\nclaim token header Authorization\n}\n"
}

var (
	bare            = &variant{name: "bare", site: proxy}
	bareAgain       = &variant{name: "bare, again", site: proxy}
	headers         = &variant{name: "same headers", site: sameHeaders + proxy}
	verified        = &variant{name: "verified", site: verifies + proxy, peer: headers}
	named           = &variant{name: "verified, widget by header", site: "chat_identity required {\nwidget {header.X-Widget-Key}\n}\n" + proxy, headers: "X-Widget-Key: named\r\n", peer: headers}
	cut             = &variant{name: "optional, claim cut", site: "chat_identity {\nsecret {env.BENCH_SECRET}\nwidget " + widgetID + "\n}\n" + proxy, unsigned: true}
	bufferedBare    = &variant{name: "bare, buffered", site: buffering}
	bufferedHeaders = &variant{name: "same headers, buffered", site: sameHeaders + buffering}
	buffered        = &variant{name: "verified, buffered", site: verifies + buffering, peer: bufferedHeaders}
	forwardAuth     = &variant{
		name: "forward_auth", site: "forward_auth AUTH {\nuri /\ncopy_headers X-Verified-User\n}\n" + proxy,
		headers: "X-User-Id: " + user + "\r\nX-User-Hash: HASH\r\n",
	}
	// The proxy with the headers of a verified request, and a token to forward.
	tokenHeaders = &variant{name: "same headers and token", site: sameHeaders + proxy, headers: bearer, tokens: hs256}
	token        = &variant{name: "HS256", site: takes(widgetID, "secret {env.BENCH_SECRET}") + proxy, headers: bearer, tokens: hs256, peer: tokenHeaders}
	longHeaders  = &variant{name: "same headers, long token", site: sameHeaders + proxy, headers: bearer, tokens: rs256}
	remembered   = &variant{name: "RS256, seen before", site: takes("another-widget", publicKey) + proxy, headers: bearer, tokens: rs256, peer: longHeaders}
	unseen       = &variant{name: "RS256, never seen before", site: takes("another-widget", publicKey) + proxy, headers: bearer, tokens: rs256, distinct: true, peer: longHeaders}

	// An assertion beside the headers, against verification alone.
	fewVerified  = &variant{name: "verified, 64 users", site: verifies + proxy, users: 64}
	fewAsserted  = &variant{name: "assertion, 64 users", site: asserts + proxy, users: 64, peer: fewVerified}
	manyVerified = &variant{name: "verified, 100,000 users", site: verifies + proxy, users: 100_000}
	manyAsserted = &variant{name: "assertion, 100,000 users", site: asserts + proxy, users: 100_000, peer: manyVerified}

	uploads = &variant{name: "optional, upload", site: "chat_identity {\nsecret {env.BENCH_SECRET}\nwidget " + widgetID + "\n}\n" + proxy}
)

// Which variants are measured with chat messages, and which with files.
var (
	allVariants     = slices.Concat(messageVariants, []*variant{uploads}, tokenVariants[len(tokenVariants)-5:], userVariants[2:])
	messageVariants = []*variant{
		bare, bareAgain, headers, verified, named, cut, bufferedBare, bufferedHeaders, buffered, forwardAuth,
	}
	uploadVariants = []*variant{bare, bareAgain, uploads}
	userVariants   = []*variant{bare, bareAgain, fewVerified, fewAsserted, manyVerified, manyAsserted}
	tokenVariants  = []*variant{bare, bareAgain, headers, verified, tokenHeaders, token, longHeaders, remembered, unseen}
)
