package claimjson_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

func TestCompile(t *testing.T) {
	for _, tc := range []struct {
		name, pointer string
		says          string // "": accepted
	}{
		{"one name", "/user_id", ""},
		{"way", "/user_metadata/email", ""},
		{"escapes", "/a~0b~1c", ""},
		{"escaped escape", "/~01", ""},
		{"beyond ASCII", "/имя", ""},
		{"empty", "", "begins with a slash"},
		{"no slash", "user_id", "as in '/user_id'"},
		{"empty token alone", "/", "without a name"},
		{"empty token within", "/a//b", "without a name"},
		{"empty token last", "/a/", "without a name"},
		{"bad escape", "/a~2", "~0"},
		{"bare tilde", "/a~", "~0"},
		{"bare tilde before a token", "/a~/0", "~0"},
		{"second escape bad", "/~0~b", "~0"},
		{"not UTF-8", "/a\xff", "UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := claimjson.Compile(keep(tc.pointer), nil)
			if tc.says == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want it to say %s", err, tc.says)
			}
		})
	}
	t.Run("number of pointers", func(t *testing.T) {
		var targets []claimjson.Target
		for i := range 64 {
			p := fmt.Sprintf("/p%d", i)
			targets = append(targets, keep(p, p)...)
		}
		if _, err := claimjson.Compile(targets, nil); err != nil {
			t.Errorf("64 pointers, each twice: %v", err)
		}
		if _, err := claimjson.Compile(append(targets, keep("/p64")...), nil); err == nil {
			t.Errorf("65 pointers: %v", err)
		}
	})
}
