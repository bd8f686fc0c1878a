package caddymodule

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// jwt returns a token with those claims, signed by HS256 with a secret's text.
func jwt(secret, claims string) string {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(head))
	return head + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// inAnHour is an exp.
func inAnHour() int64 { return time.Now().Add(time.Hour).Unix() }

func TestTokenVerifies(t *testing.T) {
	g := chat(t, `
	chat_identity required {
		secret {env.TEST_SECRET}
		claim token header Authorization
		claim token query user_token
		token {
			require /iss https://shop.example
		}
	}`)
	good := fmt.Sprintf(`{"sub":"ada","iss":"https://shop.example","exp":%d}`, inAnHour())
	get := func(path, authorization string) *http.Request {
		r, _ := http.NewRequest(http.MethodGet, g.url+path, nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		return r
	}
	for _, test := range []struct {
		name   string
		r      *http.Request
		status int
		reason string
	}{
		{"Authorization", get("/chat", "Bearer "+jwt(testSecret, good)), 200, ""},
		{"query", get("/chat?user_token="+jwt(testSecret, good), ""), 200, ""},
		{"another secret", get("/chat", "Bearer "+jwt(testSecret+"x", good)), 401, "invalid"},
		{"another issuer", get("/chat", "Bearer "+jwt(testSecret, fmt.Sprintf(`{"sub":"ada","iss":"x","exp":%d}`, inAnHour()))), 401, "invalid"},
		{"opaque", get("/chat", "Bearer abc"), 401, "missing"},
		{"none", get("/chat", ""), 401, "missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			res, err := http.DefaultClient.Do(test.r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			saw := g.upstream.take()
			if res.StatusCode != test.status || (saw != nil) != (test.status == 200) || saw != nil && saw.user() != "ada" {
				t.Errorf("%d, %v", res.StatusCode, saw)
			}
		})
	}
}
