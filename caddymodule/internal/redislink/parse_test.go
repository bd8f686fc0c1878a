package redislink

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		url  string
		want Options
		text string // what it is printed as
	}{
		{"redis://localhost", Options{Addrs: []string{"localhost:6379"}}, "redis://localhost:6379?prefix=chat_identity%3A"},
		{"redis://localhost:6380/", Options{Addrs: []string{"localhost:6380"}}, ""},
		{"REDIS://localhost", Options{Addrs: []string{"localhost:6379"}}, ""},
		{"redis://10.0.0.1/3", Options{Addrs: []string{"10.0.0.1:6379"}, DB: 3}, "redis://10.0.0.1:6379/3?prefix=chat_identity%3A"},
		{"redis://10.0.0.1?db=3", Options{Addrs: []string{"10.0.0.1:6379"}, DB: 3}, ""},
		{"redis://[::1]", Options{Addrs: []string{"[::1]:6379"}}, ""},
		{"redis://[::1]:1", Options{Addrs: []string{"[::1]:1"}}, ""},
		{"redis://me:hunter2@h", Options{Addrs: []string{"h:6379"}, Username: "me", Password: "hunter2"}, "redis://me:***@h:6379?prefix=chat_identity%3A"},
		{"redis://:hunter2@h", Options{Addrs: []string{"h:6379"}, Password: "hunter2"}, "redis://:***@h:6379?prefix=chat_identity%3A"},
		{"redis://me:a%40b%2Fc%3Ad:e@h", Options{Addrs: []string{"h:6379"}, Username: "me", Password: "a@b/c:d:e"}, ""},
		{"redis://{env.U}:{file./run/a?b@c}@h/1", Options{Addrs: []string{"h:6379"}, Username: "{env.U}", Password: "{file./run/a?b@c}", DB: 1}, ""},
		{"redis+unix:///run/redis.sock", Options{Unix: true, Addrs: []string{"/run/redis.sock"}}, "redis+unix:///run/redis.sock?prefix=chat_identity%3A"},
		{"redis+unix://:hunter2@/run/a%20b?db=2", Options{Unix: true, Addrs: []string{"/run/a b"}, Password: "hunter2", DB: 2}, ""},
		{"redis+sentinel://a,b:1/main", Options{Kind: Sentinel, Addrs: []string{"a:26379", "b:1"}, Master: "main"}, "redis+sentinel://a:26379,b:1/main?prefix=chat_identity%3A"},
		{"rediss+sentinel://me:hunter2@a/main/4?sentinel_username=s&sentinel_password=hunter+3", Options{
			Kind: Sentinel, TLS: true, Addrs: []string{"a:26379"}, Master: "main", DB: 4, Username: "me", Password: "hunter2",
			SentinelUsername: "s", SentinelPassword: "hunter+3",
		}, "rediss+sentinel://me:***@a:26379/main/4?prefix=chat_identity%3A&sentinel_username=s"},
		{"redis+cluster://a,b", Options{Kind: Cluster, Addrs: []string{"a:6379", "b:6379"}}, ""},
		{"rediss://h?ca=/c&cert=/d&key=/e&server_name=f", Options{TLS: true, Addrs: []string{"h:6379"}, CA: "/c", Cert: "/d", Key: "/e", ServerName: "f"}, ""},
	} {
		got, err := Parse(c.url)
		c.want.Prefix = DefaultPrefix
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, %v", c.url, got, err)
		}
		encoded, _ := json.Marshal(got)
		for _, text := range []string{got.String(), fmt.Sprintf("%v %+v %#v", got, got, &got), string(encoded)} {
			if strings.Contains(text, "hunter") {
				t.Errorf("%s is printed as %s", c.url, text)
			}
		}
		if c.text != "" && got.String() != c.text {
			t.Errorf("%s is printed as %s", c.url, got)
		}
	}
	if got, err := Parse("redis://h?prefix=a%20b:"); err != nil || got.Prefix != "a b:" {
		t.Errorf("the prefix is '%s', %v", got.Prefix, err)
	}
	if got, err := Parse("redis://h?prefix="); err != nil || got.Prefix != "" {
		t.Errorf("the prefix is '%s', %v", got.Prefix, err)
	}
}

// TestParseRefuses: errors say what is wrong and quote nothing of the URL.
func TestParseRefuses(t *testing.T) {
	for url, text := range map[string]string{
		"":                                "begin with one of",
		"hunter2":                         "begin with one of",
		"http://hunter2":                  "begin with one of",
		"redis:hunter2":                   "begin with one of",
		"redis://":                        "a host is missing",
		"redis://:hunter2@":               "a host is missing",
		"redis://:hunter2/3@h":            "a host is missing or is not host:port",
		"redis://:hunter2?3@h":            "a host is missing or is not host:port",
		"redis://me:hun@ter2@h:x":         "not host:port",
		"redis://hunter2:0":               "not host:port",
		"redis://hunter2:65536":           "not host:port",
		"redis://a:1:2":                   "not host:port",
		"redis://hunter2@h":               "a user without a password",
		"redis://:hunter%2@h":             "percent sign",
		"redis://a,b":                     "several hosts",
		"redis://h/hunter2":               "not a number",
		"redis://h/-1":                    "not a number",
		"redis://h/1?db=2":                "two databases",
		"redis://h/1/2":                   "not a number",
		"redis://h?hunter2":               "none of prefix",
		"redis://h?prefix=%":              "percent sign",
		"redis://h?prefix=a&prefix=b":     "more than once",
		"redis://h?prefix={a}":            "braces",
		"redis://h?ca=/hunter2":           "for TLS",
		"rediss://h?cert=/hunter2":        "go together",
		"redis+unix://h/p":                "absolute",
		"redis+unix://":                   "absolute",
		"redis+sentinel://a":              "the name by which",
		"redis+sentinel://a/":             "the name by which",
		"redis+cluster://a/1":             "no databases",
		"redis+cluster://a,":              "a host is missing",
		"redis://h?sentinel_password=hun": "for redis+sentinel",
		"redis+sentinel://h/m?sentinel_username=hunter": "without sentinel_password",
	} {
		_, err := Parse(url)
		if !errors.Is(err, ErrURL) || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "hun") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, url := range []string{
		"redis://me:pw@h:1/2?prefix=a", "redis+unix:///p", "redis+sentinel://:{file./x}@a,[::1]:2/m/3", "rediss+cluster://a?ca=/b", "redis://%zz@h",
		"rediss://h?ca=a%20b", "redis+unix:///a%20%3f%25?prefix=", "redis+sentinel://h/a%2Fb%20c/1",
	} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		o, err := Parse(url)
		if err != nil {
			if !errors.Is(err, ErrURL) {
				t.Errorf("another error: %v", err)
			}
			return
		}
		o.Password, o.SentinelPassword, o.Username, o.SentinelUsername = "", "", "", ""
		again, err := Parse(o.String())
		if o.Prefix == "" {
			again.Prefix = "" // it is left out, and then the default counts
		}
		if err != nil {
			t.Fatalf("%s is not read again: %v", o, err)
		}
		if !reflect.DeepEqual(o, again) {
			t.Errorf("%s comes back as %s", o, again)
		}
	})
}
