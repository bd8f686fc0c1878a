package claimjson_test

import (
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

func TestFoundIsReused(t *testing.T) {
	var found claimjson.Found
	many := compile(t, cut("/a", "/b", "/c")...)
	if err := claimjson.Scan([]byte(`{"a":1,"x":{},"b":2,"A":3,"c":4,"c":5}`), many, &found); err != nil || len(found.Cuts) == 0 {
		t.Fatal(err, found)
	}
	if err := claimjson.Scan([]byte(`{"b":1}`), compile(t, keep("/a")...), &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Cuts) != 0 || len(found.Values) != 1 || found.Values[0] != (claimjson.Value{}) {
		t.Errorf("an earlier scan shows: %+v", found)
	}
}

func TestAllocs(t *testing.T) {
	p := compile(t, append(cut("/user_id", "/user_metadata/user_hash"), keep("/user_metadata/email")...)...)
	for name, body := range map[string]string{
		"plain":   `{"user_id":"a","user_metadata":{"user_hash":"b","email":"c"},"x":[{"y":"z"}]}`,
		"escaped": `{"x":1,"\u0055ser_id":"\n","user_metadata":{"z":1,"user_ha\u017fh":"b", "user_hash":"é"}}`,
		"refused": `{"user_id":"a","user_metadata":null,}`,
		"way":     `{"user_metadata":[[{"user_hash":"b"}],"\u007b \ud800","{\"user_id\":1}"],"user_id":"a"}`,
		"top":     `[{"user_id":"a","user_metadata":" //\n{user_id"},{"user_id\ud800":"b"}]`,
		"long":    `{"user_metadata":"` + strings.Repeat(`text \n \u00e9 é 😀 \" and more of it `, 1000) + `","user_id":"a"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var found claimjson.Found
			b, dst := []byte(body), make([]byte, 0, 2*len(body))
			if n := testing.AllocsPerRun(100, func() {
				_ = claimjson.Scan(b, p, &found)
				dst = claimjson.Cut(dst[:0], b, found.Cuts)
				if v := found.Values[0]; v.Kind == claimjson.String {
					dst, _ = claimjson.Unquote(dst[:0], b[v.Start:v.End])
				}
			}); n != 0 {
				t.Errorf("%v allocations a scan", n)
			}
		})
	}
}
