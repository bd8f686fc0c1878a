package cors

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// urlOrigins prints the origins of the URLs in a JSON array, "" for what is no
// URL, as the URL standard has them.
const urlOrigins = `
const list = JSON.parse(require('fs').readFileSync(0, 'utf8'))
console.log(JSON.stringify(list.map(text => { try { return new URL(text).origin } catch { return '' } })))`

// TestOriginsAreAsBrowsersSendThem: what loads is what the URL standard makes of
// it, so that it can match, and so is what an error tells to write. The standard
// is asked through Node, whose URL is a browser's.
func TestOriginsAreAsBrowsersSendThem(t *testing.T) {
	var all []string
	for _, scheme := range []string{"http://", "https://", "HTTPS://"} {
		for _, host := range []string{
			"a.example", "A.Example", "localhost", "my_app.example", "a--b.example", "r3---sn-x.example", "-a.example", "a-.example", "xn--bcher-kva.example", "XN--Bcher-KVA.example",
			"xn--a.example", "xn--.example", "xn--xn--a-.example", "xn--strae-oqa.example", "bücher.example", "BÜCHER.example", "straße.example", "faß.example", "名前.example",
			"ａ.example", "a。example", "a．b．example", "☃.example", "é.example", "é.example", "שלום.example", "a\u200db.example", "\u00ada.example", "a.example.", "a.example..", ".a.example", "a..example",
			strings.Repeat("a", 63) + ".example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 126) + "b", strings.Repeat("a.", 127) + "b",
			"127.0.0.1", "127.0.0.1.", "127.1", "127.0.0.01", "0127.0.0.1", "0x7f.1", "2130706433", "0x7f000001", "256.0.0.1", "1.2.3", "1.2.3.4.5", "1.2.3.0x", "a.1", "a.0x1g", "1a.example", "127.0.0.1a", "0.0.0.0", "１２７.0.0.1", "1.2.3.4..",
			"[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[2001:DB8::1]", "[2001:db8:0:0:1:0:0:1]", "[2001:db8:0:1:1:1:1:1]", "[::ffff:1.2.3.4]", "[::ffff:102:304]", "[::1.2.3.4]", "[64:ff9b::1.2.3.4]", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[::]", "[1.2.3.4]", "[::1", "::1", "[::1]a", "[]",
			"a%2Eexample", "%61.example", "a%2fb.example", "a%zz.example", "a%00.example", "a b.example", "a,b.example", "a|b.example", "a^b.example", "a<b.example", "*.example", "a*.example", "{a}.example", "user@a.example", "user:pass@a.example", "a@b@a.example", "",
		} {
			for _, port := range []string{"", ":", ":80", ":443", ":8080", ":08080", ":0", ":00443", ":65535", ":65536", ":+80", ":8_0", ":0x50", ":eighty", ":80:80"} {
				for _, tail := range []string{"", "/", "/chat", "?a", "#a", `\a`} {
					all = append(all, scheme+host+port+tail)
				}
			}
		}
	}
	input, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "-e", urlOrigins)
	node.Stdin = strings.NewReader(string(input))
	output, err := node.Output()
	var origins []string
	if err != nil || json.Unmarshal(output, &origins) != nil || len(origins) != len(all) {
		t.Fatalf("%v: %.200s", err, output)
	}
	loaded, rewritten := 0, 0
	for i, text := range all {
		if check(text) == nil {
			if loaded++; origins[i] != text {
				t.Errorf("%s loads, and browsers send %q", text, origins[i])
			}
		} else if sent, err := browserOrigin(text); err == nil {
			if rewritten++; origins[i] != sent {
				t.Errorf("%s is to be written %s, and browsers send %q", text, sent, origins[i])
			}
		}
	}
	if loaded < 50 || rewritten < 1000 {
		t.Errorf("only %d load, and %d are written anew", loaded, rewritten)
	}
}

// TestOriginErrors: an error says what would be right.
func TestOriginErrors(t *testing.T) {
	for written, want := range map[string]string{
		"*": "", "https://a.example": "", "http://localhost:3000": "", "https://a.example.": "", "https://my_app.example:8443": "", "http://[::1]:8080": "",
		"capacitor://localhost": "", "tauri://localhost": "", "chrome-extension://abcdefghijklmnopabcdefghijklmnop": "", "moz-extension://c2c5e0b6-2f3a-4f0a-9b8e-0d6f0c3c2b1a": "", "app://obsidian.md": "",
		"https://*.example.com":               "patterns are not supported",
		"*.example.com":                       "patterns are not supported",
		"https://.example.com":                "'.example.com' is not a valid host",
		"https://a.example:443":               "as browsers send it: https://a.example",
		"http://a.example:80":                 "as browsers send it: http://a.example",
		"https://a.example:443/":              "as browsers send it: https://a.example",
		"https://a.example/":                  "as browsers send it: https://a.example",
		"https://a.example/chat?a#b":          "as browsers send it: https://a.example",
		"https://A.example":                   "as browsers send it: https://a.example",
		"HTTPS://a.example":                   "as browsers send it: https://a.example",
		"https://user:password@a.example":     "an origin has no user",
		"https://bücher.example":              "as browsers send it: https://xn--bcher-kva.example",
		"http://a.example:08080":              "as browsers send it: http://a.example:8080",
		"http://[0:0:0:0:0:0:0:1]":            "as browsers send it: http://[::1]",
		"http://[::ffff:127.0.0.1]:8080":      "as browsers send it: http://[::ffff:7f00:1]:8080",
		"http://127.1":                        "'127.1' is not an IPv4 address",
		"http://::1":                          "in brackets",
		"https://ex%61mple.com":               "as browsers send it: https://example.com",
		"https://a.example:0":                 "'0' is not a port",
		"https://a.example:99999":             "'99999' is not a port",
		"https://a.example:https":             "'https' is not a port",
		"null":                                "every sandboxed frame",
		"a.example":                           "the scheme is missing: https://a.example or http://a.example",
		"//a.example":                         "as in https://www.example.com",
		"www.Example.com:8443/":               "the scheme is missing: https://www.example.com:8443 or http://www.example.com:8443",
		"https:a.example":                     "as in https://www.example.com",
		"https:/a.example":                    "as in https://www.example.com",
		"https://":                            "as in https://www.example.com",
		"https://https://a.example":           "as in https://www.example.com",
		"any":                                 "* alone lets every origin read",
		"off":                                 "* alone lets every origin read",
		"localhost:3000":                      "the scheme is missing: https://localhost:3000 or http://localhost:3000",
		"a.example:443":                       "the scheme is missing: https://a.example or http://a.example:443",
		"htps://a.example":                    "as in https://www.example.com",
		"wss://a.example":                     "that of the page",
		"file://":                             "that of the page",
		"https://a.example,https://b.example": "by spaces",
		"https://a.example https://b.example": "by spaces",
		"{env.ORIGIN}":                        "placeholders are not replaced",
		"https://{http.request.host}":         "placeholders are not replaced",
		"capacitor://Localhost":               "as browsers send it: capacitor://localhost",
		"https://a_very-long" + strings.Repeat("g", 64) + ".example": "is not a valid host",
	} {
		if err := check(written); (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "password")) {
			t.Errorf("%s: %v, want %q", written, err, want)
		}
	}
}
