package choice

import "testing"

func TestNearest(t *testing.T) {
	options := []string{"secret", "max_age", "max_body", "max_upload", "one_time", "off", "optional", "required", "user_id", "signature", "body", "query", "header", "cookie", "at"}
	for name, want := range map[string]string{
		"secrets": "secret", "sercet": "secret", "maxage": "max_age", "max-age": "max_age", "MaxAge": "max_age", "max_bdoy": "max_body",
		"onetime": "one_time", "Required": "required", "require": "required", "requried": "required", "option": "optional", "user": "user_id",
		"userid": "user_id", "headers": "header", "sig": "signature", "cookies": "cookie", "qeury": "query",
		"path": "", "none": "", "session_length": "", "x": "", "": "", "strict": "", "status": "",
	} {
		if got := Nearest(name, options); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
