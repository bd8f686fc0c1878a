package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	created = "2026-01-02T03:04:05Z"
	rotated = "2026-02-03T04:05:06.789Z"
	until   = "2026-02-04T04:05:06.789Z"
	lastly  = "2026-02-05T04:05:06.789Z"
)

// Widgets as the API shows them.
var (
	plainWidget = `{"id":"shop","source":"stored","created":"` + created + `","rotated":"` + rotated + `","secrets":[{"version":"V1","key":"0123456789abcdef"}]`
	graceWidget = `{"id":"shop","source":"stored","mode":"required","effective_mode":"required","mode_from":"widget","mode_why":"The widget's own mode is required.","dialect":"snapengage","created":"` + created + `","rotated":"` + rotated +
		`","secrets":[{"version":"V2","key":"0123456789abcdef"},{"version":"V1","key":"fedcba9876543210","until":"` + until + `"}]`
	twoInGrace = `{"id":"shop","source":"stored","created":"` + created + `","rotated":"` + rotated +
		`","secrets":[{"version":"V3","key":"k"},{"version":"V2","key":"k","until":"` + until + `"},{"version":"V1","key":"k","until":"` + lastly + `"}]`
	withSecret = `,"secret":"` + storedSecretText + `"}`
)

// Every command, with and without --json, over TCP and a unix socket.
// publicKeyJSON is the file testdata/public.pem as JSON has it.
const publicKeyJSON = `"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1gREe7BB7m+K/rqwjfosp5fBNtxB\nftBk8RxkBD9oPr14I//R21Li9/qcepW1IS9jXxDEAvIDl8cy4QYzgeByGw==\n-----END PUBLIC KEY-----\n"`

func TestCommandWidgets(t *testing.T) {
	cases := []struct {
		name, args, in string
		call, answer   string // without the body; with the status
		body           string
		json           string // with --json; the answer's where empty
	}{
		{
			name: "create", args: "create shop", call: "POST /chat_identity/widgets", body: `{"id":"shop"}`,
			answer: "201 " + plainWidget + withSecret,
		},
		{
			name: "create with a policy", args: "create shop --mode required --dialect snapengage", call: "POST /chat_identity/widgets", body: `{"id":"shop","mode":"required","dialect":"snapengage"}`,
			answer: "201 " + plainWidget + withSecret,
		},
		{
			name: "create with a customer's secret", args: "create shop --secret-stdin", in: commandSecret + "\r\n", call: "POST /chat_identity/widgets", body: `{"id":"shop","secret":"` + commandSecret + `"}`,
			answer: "201 " + `{"id":"shop","secret":"` + commandSecret + `","source":"stored"}`,
			json:   `{"id":"shop","source":"stored","effective_mode":"","mode_why":""}`,
		},
		{
			name: "create with a public key", args: "create shop --public-key testdata/public.pem", call: "POST /chat_identity/widgets",
			body:   `{"id":"shop","public_keys":[` + publicKeyJSON + `]}`,
			answer: `201 {"id":"shop","source":"stored","public_keys":[{"thumbprint":"T1","kind":"ECDSA P-256"}]}`,
		},
		{
			name: "create with a key set", args: "create shop --jwks https://login.example.com/jwks", call: "POST /chat_identity/widgets",
			body:   `{"id":"shop","jwks":"https://login.example.com/jwks"}`,
			answer: `201 {"id":"shop","source":"stored","jwks":"https://login.example.com/jwks","note":"The key set cannot be read yet (it answers with status 502): until it can, the widget is unavailable."}`,
		},
		{
			name: "rotate", args: "rotate shop", call: "POST /chat_identity/widgets/shop/rotate", body: `{}`,
			answer: "200 " + plainWidget + withSecret,
		},
		{
			name: "rotate with a grace", args: "rotate shop --grace 1d", call: "POST /chat_identity/widgets/shop/rotate", body: `{"grace":"24h0m0s"}`,
			answer: "200 " + graceWidget + withSecret,
		},
		{
			name: "rotate twice with a grace", args: "rotate shop --grace 24h", call: "POST /chat_identity/widgets/shop/rotate", body: `{"grace":"24h0m0s"}`,
			answer: "200 " + twoInGrace + withSecret,
		},
		{
			name: "end the grace of one", args: "rotate shop --end-grace", call: "POST /chat_identity/widgets/shop/rotate", body: `{"end_grace":true}`,
			answer: "200 " + plainWidget + `,"ended":1}`,
		},
		{
			name: "end the grace of several", args: "rotate shop --end-grace", call: "POST /chat_identity/widgets/shop/rotate", body: `{"end_grace":true}`,
			answer: "200 " + plainWidget + `,"ended":2}`,
		},
		{
			name: "end the grace of none", args: "rotate shop --end-grace", call: "POST /chat_identity/widgets/shop/rotate", body: `{"end_grace":true}`,
			answer: "200 " + plainWidget + `,"ended":0}`,
		},
		{
			name: "create what no handler can name", args: "create shop", call: "POST /chat_identity/widgets", body: `{"id":"shop"}`,
			answer: "201 " + plainWidget + `,"note":"No request can use it. Why."` + withSecret,
		},
		{
			name: "reveal", args: "reveal shop", call: "POST /chat_identity/widgets/shop/reveal",
			answer: `200 {"id":"shop","secret":"` + storedSecretText + `"}`,
		},
		{
			name: "show", args: "show shop", call: "GET /chat_identity/widgets/shop",
			answer: "200 " + graceWidget + "}",
		},
		{
			name: "show an inline one", args: "show shop", call: "GET /chat_identity/widgets/shop",
			answer: `200 {"id":"shop","source":"inline"}`,
		},
		{
			name: "show an unavailable one", args: "show shop", call: "GET /chat_identity/widgets/shop",
			answer: `200 {"id":"shop","source":"stored","secrets":[{"version":"V1","key":"k"}],"unavailable":"encryption key k\tis\u001b[31m missing"}`,
		},
		{
			name: "set", args: "set shop --mode required", call: "PATCH /chat_identity/widgets/shop", body: `{"mode":"required"}`,
			answer: `200 {"id":"shop","source":"stored","mode":"required"}`,
		},
		{
			name: "set without effect", args: "set shop --mode optional", call: "PATCH /chat_identity/widgets/shop", body: `{"mode":"optional"}`,
			answer: `200 {"id":"shop","source":"stored","mode":"optional","effective_mode":"required","mode_from":"handler","mode_why":"The minimum.","note":"It changes\nnothing. The minimum."}`,
		},
		{
			name: "set public keys", args: "set shop --public-key testdata/public.pem --public-key testdata/public.pem", call: "PATCH /chat_identity/widgets/shop",
			body:   `{"public_keys":[` + publicKeyJSON + `,` + publicKeyJSON + `]}`,
			answer: `200 {"id":"shop","source":"stored","public_keys":[{"thumbprint":"T1","kind":"ECDSA P-256","last_used":"2026-02-03T04:05:06Z","used_last_hour":3},{"thumbprint":"T2","kind":"RSA 2048"}]}`,
		},
		{
			name: "set a key set", args: "set shop --jwks https://login.example.com/jwks", call: "PATCH /chat_identity/widgets/shop", body: `{"jwks":"https://login.example.com/jwks"}`,
			answer: `200 {"id":"shop","source":"stored","jwks":"https://login.example.com/jwks"}`,
		},
		{
			name: "set to nothing", args: "set shop --mode= --dialect=", call: "PATCH /chat_identity/widgets/shop", body: `{"mode":"","dialect":""}`,
			answer: `200 {"id":"shop","source":"stored"}`,
		},
		{
			name: "delete", args: "delete shop", call: "DELETE /chat_identity/widgets/shop",
			answer: "204 ",
			json:   `{"deleted":"shop"}`,
		},
		{
			name: "reseal", args: "reseal", call: "POST /chat_identity/reseal",
			answer: `200 {"key":"0123456789abcdef","resealed":3,"unchanged":10}`,
		},
		{
			name: "the signing keys", args: "keys list", call: "GET /chat_identity/keys",
			answer: `200 {"keys":[{"kid":"uNbTOAGc0bXBBnJQ5iTL2Xm8fUT0yyYSb1mAlMEbjhQ","state":"next","created":"` + created + `"},` +
				`{"kid":"other\u001b","state":"current","created":"` + created + `"},{"kid":"old","state":"previous","created":"` + created + `"}]}`,
		},
		{
			name: "no signing keys", args: "keys list", call: "GET /chat_identity/keys",
			answer: `200 {"keys":[]}`,
		},
		{
			name: "a rotation of the signing keys", args: "keys rotate", call: "POST /chat_identity/keys/rotate",
			answer: `200 {"keys":[{"kid":"new","state":"next","created":"` + created + `"},{"kid":"old","state":"current","created":"` + created + `"}],"changed":true}`,
		},
		{
			name: "another one before the next key signs", args: "keys rotate", call: "POST /chat_identity/keys/rotate",
			answer: `200 {"keys":[{"kid":"new","state":"next","created":"` + created + `"},{"kid":"old","state":"current","created":"` + created + `"}],"changed":false}`,
		},
		{
			name: "a rotation back to known keys", args: "keys rotate --replace", call: "POST /chat_identity/keys/rotate?replace=true",
			answer: `200 {"keys":[{"kid":"new","state":"next","created":"` + created + `"},{"kid":"old","state":"current","created":"` + created + `"}],"changed":true,"replaced":"known"}`,
		},
		{
			name: "a rotation of lost keys", args: "keys rotate --replace", call: "POST /chat_identity/keys/rotate?replace=true",
			answer: `200 {"keys":[{"kid":"new","state":"next","created":"` + created + `"},{"kid":"old","state":"current","created":"` + created + `"}],"changed":true,"replaced":"new"}`,
		},
		{
			name: "stats", args: "stats", call: "GET /chat_identity/stats",
			answer: `200 {"since":"` + created + `","widgets":[{"id":"shop","requests":10,"verified_rate":0.8,"outcomes":{"verified":8,"invalid":2,"expired":0}},` +
				`{"id":"idle","requests":0,"verified_rate":0,"outcomes":{}}],"rest":{"requests":4,"verified_rate":1,"outcomes":{"verified":4}},` +
				`"unknown":{"requests":3,"verified_rate":0,"outcomes":{"invalid":2,"newer\u001b":1}},"total":{"requests":17,"verified_rate":0.70588,"outcomes":{"verified":12,"invalid":4,"newer\u001b":1}},"open_streams":2}`,
		},
		{
			name: "stats with windows", args: "stats --top 1", call: "GET /chat_identity/stats?top=1",
			answer: "200 " + windowedStats,
		},
		{
			name: "stats of an hour", args: "stats --last hour", call: "GET /chat_identity/stats",
			answer: "200 " + windowedStats,
		},
		{
			name: "stats of tokens", args: "stats --last day", call: "GET /chat_identity/stats",
			answer: `200 {"since":"` + created + `","widgets":[{"id":"shop","requests":9,"outcomes":{},"day":{"requests":9,"verified":8,"verified_rate":0.8889,"proofs":{"signature":1,"token":5,"session":2},"reasons":{"invalid":1}}},` +
				`{"id":"desk","requests":2,"outcomes":{},"day":{"requests":2,"verified":2,"verified_rate":1,"proofs":{"signature":2,"token":0},"reasons":{}}}],` +
				`"total":{"requests":11,"outcomes":{},"day":{"requests":11,"verified":10,"verified_rate":0.909,"proofs":{"signature":3,"token":5,"session":2},"reasons":{"invalid":1}}}}`,
		},
		{
			name: "readiness", args: "readiness shop", call: "GET /chat_identity/widgets/shop/readiness",
			answer: `200 {"widget":"shop","verdict":"not_ready","verdict_text":"Not ready: of 338.","evidence":{"verified":20,"minutes":60},"mode":"optional","now":"` + rotated + `","from":"` + created + `","requests":340,"verified":326,"refused":12,"disabled":2,"refusals":[` +
				`{"reason":"invalid","count":11,"always":false,"diagnosed":7,"hints":[{"id":"email_signed","text":"The e-mail was signed.","count":7}],` +
				`"examples":[{"at":"` + created + `","request_id":"04ff","hint":"The e-mail was signed."},{"at":"` + created + `","request_id":"05ff","hint":"bad\u001b"}]},` +
				`{"reason":"malformed","count":1,"always":true,"hints":[],"examples":[]}]}`,
		},
		{
			name: "readiness of visitors", args: "readiness shop", call: "GET /chat_identity/widgets/shop/readiness",
			answer: `200 {"widget":"shop","verdict":"only_unsigned","verdict_text":"Ready if users must sign in to chat\u001b.","mode":"optional","now":"` + created + `","from":"` + created + `","requests":3,"verified":2,"refused":1,"refusals":[{"reason":"missing","count":1}]}`,
		},
		{
			name: "readiness of an older gateway", args: "readiness shop", call: "GET /chat_identity/widgets/shop/readiness",
			answer: `200 {"widget":"shop","verdict":"unknown","mode":"","now":"` + created + `","from":"` + created + `"}`,
		},
		{
			name: "health", args: "health", call: "GET /chat_identity/health", answer: `200 {"status":"ok"}`,
		},
		{
			name: "degraded", args: "health", call: "GET /chat_identity/health",
			answer: `200 {"status":"degraded","problems":["the store is away: look after it","a key\u001b is missing: add it"]}`,
		},
		{
			name: "the widgets were lost", args: "store accept-loss", call: "POST /chat_identity/store/accept-loss", answer: `200 {"accepted":true}`,
		},
		{
			name: "no widgets were lost", args: "store accept-loss", call: "POST /chat_identity/store/accept-loss", answer: `200 {"accepted":false}`,
		},
		{
			name: "the ledger was lost", args: "ledger accept-loss", call: "POST /chat_identity/ledger/accept-loss",
			answer: `200 {"accepted":true,"ledger":"NEW","lost":"OLD"}`,
		},
		{
			name: "no ledger was lost", args: "ledger accept-loss", call: "POST /chat_identity/ledger/accept-loss",
			answer: `200 {"accepted":false,"ledger":"NEW"}`,
		},
		{
			name: "no stats", args: "stats", call: "GET /chat_identity/stats",
			answer: `200 {"since":"` + created + `","widgets":[],"total":{"requests":0,"verified_rate":0,"outcomes":{}}}`,
		},
	}
	for _, network := range []string{"tcp", "unix"} {
		var said transcript
		for _, x := range cases {
			t.Run(x.name+" "+network, func(t *testing.T) {
				s := startAdmin(t, network, &adminServer{answers: map[string]string{x.call: x.answer}})
				args := append(strings.Fields(x.args), "--address", s.address)
				out, errors, err := clientRun{in: x.in}.client(t, args...)
				if err != nil {
					t.Errorf("%s%v", errors, err)
				}
				said.add(x.name, strings.Fields(x.args), out, errors)
				want := x.json
				if _, answer, _ := strings.Cut(x.answer, " "); want == "" {
					want = answer
				}
				out, errors, err = clientRun{in: x.in}.client(t, append(args, "--json")...)
				if err != nil || errors != "" || out != want+"\n" || !json.Valid([]byte(out)) {
					t.Errorf("with --json\n%s\nwant\n%s\n%s%v", out, want, errors, err)
				}
				call := strings.TrimSpace(x.call + " " + x.body)
				if s.calls() != call+"\n"+call {
					t.Errorf("asked %s; want %s", s.calls(), call)
				}
			})
		}
		said.compare(t, "commands.txt")
	}
}

// windowedStats is the answer for a widget with traffic in some windows.
const windowedStats = `{"since":"` + created + `","widgets":[{"id":"shop","requests":10,"verified_rate":0.8,"outcomes":{"verified":8,"invalid":2},` +
	`"minute":{"requests":0},"hour":{"requests":4,"verified":3,"verified_rate":0.75,"reasons":{"invalid":1,"newer\u001b":2}},` +
	`"day":{"requests":10,"verified":8,"verified_rate":0.8,"reasons":{"invalid":2}}}],` +
	`"total":{"requests":10,"verified_rate":0.8,"outcomes":{"verified":8,"invalid":2},"minute":{"requests":0},"hour":{"requests":0},` +
	`"day":{"requests":10,"verified":8,"verified_rate":0.8,"reasons":{"invalid":2}}}}`

func TestCommandResealFailures(t *testing.T) {
	answer := `{"key":"k","resealed":1,"unchanged":0,"failed":[{"id":"shop","error":"encryption key x is missing\u001b[2J"},{"id":"-signing-keys","error":"they were changed"}]}`
	s := startAdmin(t, "tcp", &adminServer{answers: map[string]string{"POST /chat_identity/reseal": "200 " + answer}})
	out, errors, err := clientRun{}.client(t, "reseal", "--address", s.address)
	if err == nil || errors != "Error: not everything was resealed\n" || !strings.Contains(out, "failed:     widget shop: encryption key x is missing?[2J\nfailed:     the signing keys: they were changed\n") {
		t.Errorf("%q, %q, %v", out, errors, err)
	}
	out, errors, err = clientRun{}.client(t, "reseal", "--address", s.address, "--json")
	if err == nil || errors != "" || out != answer+"\n" {
		t.Errorf("%q, %q, %v", out, errors, err)
	}
}

// paged answers lists in pages of one widget, each with a link to the next.
func paged(link string, ids ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		after := r.URL.Query().Get("after")
		for i, id := range ids {
			if id > after {
				if i < len(ids)-1 {
					w.Header().Set("Link", fmt.Sprintf(link, id))
				}
				fmt.Fprintf(w, `[{"id":"%s","source":"stored"}]`, id)
				return
			}
		}
		_, _ = io.WriteString(w, "[]\n")
	}
}

func TestCommandList(t *testing.T) {
	list := func(t *testing.T, handler http.HandlerFunc, args ...string) (string, string, error) {
		s := startAdmin(t, "tcp", &adminServer{handler: handler})
		out, errors, err := clientRun{}.client(t, append([]string{"list", "--address", s.address}, args...)...)
		if !strings.HasPrefix(s.calls(), "GET /chat_identity/widgets?limit=1000") {
			t.Errorf("asked %s", s.calls())
		}
		return out, errors, err
	}
	t.Run("rows", func(t *testing.T) {
		out, errors, err := list(t, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `[{"id":"default","source":"inline","mode":"off","effective_mode":"optional"},%s},%s},{"id":"z\u001b","source":"stored","secrets":[{"version":"v","key":"k"}],"unavailable":"x"}]`, plainWidget, graceWidget)
		})
		const at = "2026-02-03 04:05:06 UTC"
		wide := at + strings.Repeat(" ", 2)
		want := "ID       MODE      EFFECTIVE  DIALECT     SOURCE  ROTATED" + strings.Repeat(" ", len(wide)-len("ROTATED")) + "SECRETS\n" +
			"default  off       optional   -           inline  -" + strings.Repeat(" ", len(wide)-1) + "-\n" +
			"shop     -         -          -           stored  " + wide + "1\n" +
			"shop     required  required   snapengage  stored  " + wide + "1 + 1 in grace\n" +
			"z?       -         -          -           stored  -" + strings.Repeat(" ", len(wide)-1) + "unavailable\n"
		if err != nil || errors != "" || out != want {
			t.Errorf("%s\nwant\n%s\n%s%v", out, want, errors, err)
		}
	})
	t.Run("none", func(t *testing.T) {
		for _, none := range []string{"[]", "null"} {
			handler := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, none) }
			out, errors, err := list(t, handler)
			if err != nil || out != "" || !strings.Contains(errors, "create one with 'caddy chat-identity create <id>'") {
				t.Errorf("%q, %q, %v", out, errors, err)
			}
			out, errors, err = list(t, handler, "--json")
			if err != nil || out != "[]\n" || errors != "" {
				t.Errorf("%q, %q, %v", out, errors, err)
			}
		}
	})
	for _, link := range []string{
		`</chat_identity/widgets?limit=1000&after=%s>; rel="next"`,
		`<http://elsewhere.example/chat_identity/widgets?after=%s>; rel="next"`, // the same server is asked
	} {
		t.Run("pages "+link, func(t *testing.T) {
			out, _, err := list(t, paged(link, "a", "b", "c"), "--json")
			if want := `[{"id":"a","source":"stored"},{"id":"b","source":"stored"},{"id":"c","source":"stored"}]`; err != nil || out != want+"\n" {
				t.Errorf("%s, %v", out, err)
			}
			out, _, err = list(t, paged(link, "a", "b", "c"))
			if err != nil || strings.Count(out, "\n") != 4 {
				t.Errorf("%s, %v", out, err)
			}
		})
	}
	again := func(page string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</chat_identity/widgets?limit=1000&after=a>; rel="next"`)
			_, _ = io.WriteString(w, page)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"the same page again": again(`[{"id":"a","source":"stored"}]`),
		"no id to go on from": again(`[{"source":"stored"}]`),
		"no element":          again(`[]`),
		"no object":           again(`[7]`),
		"no list":             func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, args := range [][]string{nil, {"--json"}} {
				out, errors, err := list(t, handler, args...)
				if err == nil || out != "" || !strings.Contains(errors, "did not answer like the chat_identity API") {
					t.Errorf("%q, %q, %v", out, errors, err)
				}
			}
		})
	}
	t.Run("no widgets", func(t *testing.T) {
		out, errors, err := list(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"x":"\u001b"},7]`) })
		if err == nil || out != "" || !strings.Contains(errors, "did not answer like") {
			t.Errorf("%q, %q, %v", out, errors, err)
		}
	})
}

// JSON may contain, unescaped, what a terminal acts on: C1 controls and characters
// that change the reading direction.
func TestCommandJSONEscapes(t *testing.T) {
	answer := "{\n\t\"id\" : \"shop\",\r\n \"unavailable\": \"\u009b2J\u202e\x7f \U000e0001 é 名 <&> \\u001b\"}"
	s := startAdmin(t, "tcp", &adminServer{answers: map[string]string{"GET /chat_identity/widgets/shop": "200 " + answer}})
	out, _, err := clientRun{}.client(t, "show", "shop", "--json", "--address", s.address)
	want := `{"id":"shop","unavailable":"\u009b2J\u202e\u007f \udb40\udc01 é 名 <&> \u001b"}` + "\n"
	if err != nil || out != want {
		t.Errorf("%s, %v", out, err)
	}
	var before, after map[string]string
	if json.Unmarshal([]byte(answer), &before) != nil || json.Unmarshal([]byte(out), &after) != nil || before["unavailable"] != after["unavailable"] {
		t.Errorf("%q, %q", before, after)
	}
}

// lostSecrets are the commands whose output cannot be repeated, and what they say
// if it is lost.
var lostSecrets = []struct{ args, want string }{
	{"create shop", "Generate another: caddy chat-identity rotate shop\n"},
	{"rotate shop", "Rotate again: caddy chat-identity rotate shop\n"},
	{"rotate shop --grace 24h", "Rotate again: caddy chat-identity rotate shop --grace 24h\n"},
	{"reveal shop", "the secret of widget shop could not be printed"},
}

func secretServer(t *testing.T, secret string) *adminServer {
	widget := plainWidget + `,"secret":` + secret + `}`
	return startAdmin(t, "tcp", &adminServer{answers: map[string]string{
		"POST /chat_identity/widgets":             "201 " + widget,
		"POST /chat_identity/widgets/shop/rotate": "200 " + widget,
		"POST /chat_identity/widgets/shop/reveal": `200 {"id":"shop","secret":` + secret + `}`,
	}})
}

func TestCommandSecretNotShown(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	for _, x := range lostSecrets {
		for _, form := range [][]string{nil, {"--json"}} {
			s := secretServer(t, `"`+storedSecretText+`"`)
			_, errors, err := clientRun{out: writer}.client(t, append(append(strings.Fields(x.args), "--address", s.address), form...)...)
			if err == nil || !strings.Contains(errors, x.want) || strings.Contains(errors, "It is not shown again") {
				t.Errorf("%s: %q, %v", x.args, errors, err)
			}
		}
		for secret, want := range map[string]string{`"\u001b]52;c;AAAA\u0007"`: "a terminal would act on", `""`: "the answer contains none"} {
			s := secretServer(t, secret)
			out, errors, err := clientRun{}.client(t, append(strings.Fields(x.args), "--address", s.address)...)
			if err == nil || out != "" || !strings.Contains(errors, x.want) || !strings.Contains(errors, want) {
				t.Errorf("%s with %s: %q, %v", x.args, secret, errors, err)
			}
		}
	}
}

// A process whose standard output is a closed pipe ends when it writes; a secret
// that is lost that way must be reported.
func TestCommandClosedPipe(t *testing.T) {
	const variable = "CHAT_IDENTITY_TEST_ARGUMENTS"
	if args := os.Getenv(variable); args != "" {
		root := clientRoot()
		root.SetOut(os.Stdout)
		root.SetArgs(append([]string{"chat-identity"}, strings.Fields(args)...))
		if root.Execute() != nil {
			os.Exit(3)
		}
		os.Exit(0)
	}
	for _, x := range lostSecrets {
		s := secretServer(t, `"`+storedSecretText+`"`)
		child := exec.Command(os.Args[0], "-test.run=^TestCommandClosedPipe$")
		child.Env = append(os.Environ(), variable+"="+x.args+" --address "+s.address, "TMPDIR="+t.TempDir())
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		var stderr strings.Builder
		child.Stdout, child.Stderr = writer, &stderr
		err = child.Run()
		writer.Close()
		if child.ProcessState.ExitCode() != 3 || !strings.Contains(stderr.String(), x.want) || strings.Contains(stderr.String(), storedSecretText) {
			t.Errorf("%s: %v\n%s", x.args, err, stderr.String())
		}
	}
}

func TestCommandOutputFails(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	s := startAdmin(t, "tcp", &adminServer{answers: map[string]string{
		"GET /chat_identity/widgets?limit=1000&after=": "200 [" + plainWidget + "}]",
		"GET /chat_identity/widgets/shop":              "200 " + plainWidget + "}",
		"PATCH /chat_identity/widgets/shop":            "200 " + plainWidget + "}",
		"POST /chat_identity/reseal":                   `200 {"key":"k"}`,
		"GET /chat_identity/stats":                     `200 {"since":"` + created + `","total":{}}`,
	}})
	for _, args := range []string{"list", "show shop", "set shop --mode off", "reseal", "stats"} {
		for _, form := range []string{"", " --json"} {
			_, errors, err := clientRun{out: writer}.client(t, append(strings.Fields(args+form), "--address", s.address)...)
			if err == nil || !strings.Contains(errors, "broken pipe") {
				t.Errorf("%s: %q, %v", args+form, errors, err)
			}
		}
	}
}

func TestCommandKeygenEncryptionKey(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		out, errors, err := clientRun{}.client(t, "keygen", "--encryption-key")
		key, keyErr := widgets.ParseEncryptionKey(strings.TrimSuffix(out, "\n"))
		if err != nil || keyErr != nil || errors != "" || seen[key.ID()] {
			t.Errorf("%q, %q, %v, %v", out, errors, err, keyErr)
		}
		seen[key.ID()] = true
	}
	out, _, err := clientRun{}.client(t, "keygen", "--encryption-key", "--json")
	if err != nil || !regexp.MustCompile(`^\{"encryption_key":"[A-Za-z0-9+/]{43}="\}\n$`).MatchString(out) {
		t.Errorf("%q, %v", out, err)
	}
}

func TestCommandClientHelp(t *testing.T) {
	for i, name := range []string{"--help", "keygen", "sign", "explain", "create", "list", "show", "set", "rotate", "reveal", "delete", "reseal", "stats", "readiness", "keys list", "keys rotate"} {
		out, _, err := clientRun{}.client(t, append(strings.Fields(name), "--help")...)
		asks := strings.Contains(out, "unix//run/caddy-admin.sock") && strings.Contains(out, `(default "`+caddy.DefaultAdminListen+`")`) && strings.Contains(out, "--json")
		if err != nil || !strings.Contains(out, "Usage:") || i > 3 && !asks {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		for _, line := range strings.Split(out, "\n") {
			if len(line) > 120 {
				t.Errorf("%s: a long line: %s", name, line)
			}
		}
	}
}
