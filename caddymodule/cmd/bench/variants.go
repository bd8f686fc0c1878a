package main

// variant is a site of the gateway.
type variant struct {
	name, site string
	unsigned   bool     // whether to send a claim that does not verify
	headers    string   // besides those of every request
	peer       *variant // what it is also compared with, or nil
}

const (
	// The headers of a verified request, set without verification.
	sameHeaders = "request_header X-Verified-User " + user + "\nrequest_header X-Verified-Widget " + widgetID +
		"\nrequest_header X-Identity-Outcome verified\n"
	verifies = "chat_identity required {\nwidget " + widgetID + "\nsecret {env.BENCH_SECRET}\n}\n"

	proxy = "reverse_proxy BACKEND"
	// buffering is the proxy of docs/performance.md: head and body go out in one
	// write, and more connections are kept.
	buffering = "reverse_proxy BACKEND {\nrequest_buffers 16KiB\ntransport http {\nwrite_buffer 32KiB\nkeepalive_idle_conns_per_host 256\n}\n}"
)

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
	uploads = &variant{name: "optional, upload", site: "chat_identity {\nsecret {env.BENCH_SECRET}\nwidget " + widgetID + "\n}\n" + proxy}
)

// Which variants are measured with chat messages, and which with files.
var (
	allVariants     = append(messageVariants[:len(messageVariants):len(messageVariants)], uploads)
	messageVariants = []*variant{
		bare, bareAgain, headers, verified, named, cut, bufferedBare, bufferedHeaders, buffered, forwardAuth,
	}
	uploadVariants = []*variant{bare, bareAgain, uploads}
)
