package intake

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestTexts is what is read and left of a text in a header or a cookie, in spellings that
// servers other than Caddy pass on, too.
func TestTexts(t *testing.T) {
	var d verifier.Dialect
	d.Message = "{user_id}"
	for _, line := range []string{
		"user_id header User-Data /user_id", "signature header user-data /user_hash",
		"user_id header Coded base64 /user_id", "signature header Coded base64 /user_hash",
		"user_id cookie ud /user_id", "signature cookie ud /user_hash", "user_id cookie c base64 /user_id",
	} {
		places, err := verifier.ParseClaim(strings.Fields(line))
		if err != nil {
			t.Fatal(err)
		}
		d.Places = append(d.Places, places...)
	}
	v, err := d.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	p := NewPlaces(v, d.Places)
	const text = `{"a":"~?","user_id":"u","user_hash":"h"}`
	coded := base64.StdEncoding.EncodeToString([]byte(text))
	left := base64.StdEncoding.EncodeToString([]byte(`{"a":"~?"` + strings.Repeat(" ", len(text)-10) + `}`))
	const escaped = "%7B%22a%22%3A1%2C%22user_id%22%3A%22u%22%7D"
	for _, test := range []struct {
		header, left http.Header
		want         error // of a claim without a key
	}{
		{http.Header{"User-Data": {text}}, http.Header{"User-Data": {`{"a":"~?"}`}}, verifier.ErrInvalid},
		{http.Header{"user_data": {" " + text}}, http.Header{"user_data": {`{"a":"~?"}`}}, verifier.ErrInvalid},
		{http.Header{"User-Data": {text}, "user.data": {"x"}}, http.Header{}, verifier.ErrAmbiguous},
		{http.Header{"User-Data": {"x", `{"a":2}`}}, http.Header{"User-Data": {"x", `{"a":2}`}}, verifier.ErrMissing},
		{http.Header{"User-Data": {text + ","}}, http.Header{}, verifier.ErrMalformed},
		{http.Header{"Coded": {coded}}, http.Header{"Coded": {left}}, verifier.ErrInvalid},
		{http.Header{"Coded": {strings.TrimRight(coded, "=")}}, http.Header{"Coded": {strings.TrimRight(left, "=")}}, verifier.ErrInvalid},
		{http.Header{"Cookie": {"x=1; ud=" + escaped + "; y=2"}}, http.Header{"Cookie": {"x=1; ud=%7B%22a%22%3A1%7D; y=2"}}, verifier.ErrPartial},
		{http.Header{"Cookie": {"x=1; ud=" + escaped + "; ud=2"}}, http.Header{"Cookie": {"x=1"}}, verifier.ErrAmbiguous},
		{http.Header{"Cookie": {"x=1; Ud=" + escaped}}, http.Header{"Cookie": {"x=1"}}, verifier.ErrPartial},
		{http.Header{"Cookie": {"ud=1; Ud=2"}}, http.Header{"Cookie": {"ud=1; Ud=2"}}, verifier.ErrMissing},
		{http.Header{"Cookie": {"c=" + coded}}, http.Header{"Cookie": {"c=" + base64.StdEncoding.EncodeToString([]byte(`{"a":"~?",`+strings.Repeat(" ", 14)+`"user_hash":"h"}`))}}, verifier.ErrPartial},
		{http.Header{"Cookie": {"x=1; C=" + coded}}, http.Header{"Cookie": {"x=1"}}, verifier.ErrPartial},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = test.header.Clone()
		var to verifier.Reading
		p.ReadHead(r, &to)
		if _, err := v.Verify(&to); !errors.Is(err, test.want) {
			t.Errorf("%v: %v, want %v", test.header, err, test.want)
		}
		p.CutHead(r.Header, verifier.Field.Proves)
		if len(r.Header) != len(test.left) {
			t.Errorf("%v: left %v", test.header, r.Header)
		}
		for name, values := range test.left {
			if strings.Join(r.Header[name], "|") != strings.Join(values, "|") {
				t.Errorf("%v: left %v, want %v", test.header, r.Header, test.left)
			}
		}
	}
}
