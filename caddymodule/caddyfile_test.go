package caddymodule

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// separator is the line between a Caddyfile and its expected result: the JSON that it
// adapts to, the error of adapting it, or that of loading it.
const separator = "\n----------\n"

var where = regexp.MustCompile(`, at Caddyfile:\d+( import chain .*)?(, site .*)?$`)

// adaptError and loadError remove the path of modules that Caddy puts before an error, and
// the list of dialects, so that a new one changes nothing in testdata.
func adaptError(err error) string {
	text := strings.TrimPrefix(err.Error(), "parsing caddyfile tokens for 'chat_identity': ")
	return strings.ReplaceAll(text, adminapi.Dialects(), "(the dialects)")
}

func loadError(err error) string {
	text := adaptError(err)
	for _, module := range []string{"provision http.handlers.chat_identity: ", "provision chat_identity: "} {
		if _, ours, ok := strings.Cut(text, module); ok {
			text = ours
		}
	}
	return text
}

// TestCaddyfiles adapts every file in testdata and loads what could be adapted. The
// errors of the bad ones say where they are.
func TestCaddyfiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	previous := filepath.Join(t.TempDir(), "previous")
	must(t, os.WriteFile(previous, []byte("a-secret-of-yesterday\n"), 0o600))
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text := read(t, file)
			caddyfile, want, ok := strings.Cut(string(text), separator)
			if !ok {
				t.Fatal("no line of ten dashes")
			}
			want = strings.TrimSpace(want)
			got, err := adapt(caddyfile + "\n")
			result := ""
			if err != nil {
				result = "error: " + adaptError(err)
			} else if err = validate(strings.ReplaceAll(caddyfile, "/run/secrets/previous", previous)); err != nil {
				result = "load error: " + loadError(err)
			}
			if bad := strings.HasSuffix(file, ".bad.caddyfiletest"); bad != (err != nil) {
				t.Errorf("the name says otherwise: %v", err)
			} else if bad {
				if result != want || !where.MatchString(result) {
					t.Errorf("got %s\nwant %s", result, want)
				}
				return
			}
			var gotText, wantText bytes.Buffer
			must(t, json.Indent(&gotText, got, "", "\t"))
			must(t, json.Indent(&wantText, []byte(want), "", "\t"))
			if gotText.String() != wantText.String() {
				t.Errorf("got %s", gotText.String())
			}
		})
	}
}

// TestEveryOptionHasFiles: each option has a good and a bad file.
func TestEveryOptionHasFiles(t *testing.T) {
	for kind, options := range map[string][]string{
		"handler": handlerBlock.options,
		"widget":  widgetBlock.options,
		"global":  appBlock.options,
		"matcher": {"outcomes"},
	} {
		if len(options) == 0 {
			t.Errorf("no options of kind %s were found", kind)
		}
		for _, option := range options {
			wantFile(t, kind+"_"+option+".good")
			wantFile(t, kind+"_"+option+".bad")
		}
	}
}

func wantFile(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("testdata", name+".caddyfiletest")); err != nil {
		t.Error(err)
	}
}

// TestUnmarshalCaddyfileDocuments: the syntax in the comments, which becomes
// documentation, names every option.
func TestUnmarshalCaddyfileDocuments(t *testing.T) {
	for file, blocks := range map[string][]optionBlock{
		"caddyfile.go": {handlerBlock, conversationBlock}, "globaloption.go": {appBlock, widgetBlock, assertionBlock},
	} {
		text := read(t, file)
		for _, b := range blocks {
			for _, option := range b.options {
				if !regexp.MustCompile(`(?m)^//\s+` + option + `(\s|$)`).Match(text) {
					t.Errorf("%s does not document %s", file, option)
				}
			}
		}
	}
}

// TestWithoutOrder: the directive needs no order option, and comes after the
// operator's own header handling.
func TestWithoutOrder(t *testing.T) {
	config := adapted(t, ":80 {\nreverse_proxy 127.0.0.1:1\nchat_identity {\nsecret {env.TEST_SECRET}\n}\nrequest_header -X-A\n}")
	text := string(config)
	header, ours, proxy := strings.Index(text, `"handler":"headers"`), strings.Index(text, `"handler":"chat_identity"`), strings.Index(text, `"handler":"reverse_proxy"`)
	if header < 0 || ours < header || proxy < ours {
		t.Errorf("order %d, %d, %d: %s", header, ours, proxy, text)
	}
}
