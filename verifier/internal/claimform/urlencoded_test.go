package claimform_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// show writes matches as "name=value", or "name?" for a variant; one of a text on
// the way has its value, and what cannot be read "!".
func show(names []string, matches []claimform.Match) string {
	var all []string
	for _, match := range matches {
		text := names[match.Name]
		if match.Variant {
			text += "?"
		}
		if match.Err != nil {
			text += "!"
		}
		if match.Value != nil || !match.Variant && match.Err == nil {
			text += "=" + string(match.Value)
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func cutHits(raw []byte, matches []claimform.Match, of func(claimform.Match) bool) []byte {
	var left []byte
	at := 0
	for _, match := range matches {
		if of(match) && match.Span.Start >= at { // not what the match before has cut
			left = append(left, raw[at:match.Span.Start]...)
			at = match.Span.End
		}
	}
	return append(left, raw[at:]...)
}

func every(claimform.Match) bool { return true }

func TestURLEncoded(t *testing.T) {
	list := []string{"user_id", "sig", "имя"}
	names := compile(list...)
	for _, tc := range []struct {
		name, raw string
		want      string // as show writes it
		left      string // after every span is cut
	}{
		{"empty", "", "", ""},
		{"nothing", "a=1&b=2", "", "a=1&b=2"},
		{"alone", "user_id=1", "user_id=1", ""},
		{"first", "user_id=1&a=2", "user_id=1", "a=2"},
		{"middle", "a=1&user_id=5&b=2", "user_id=5", "a=1&b=2"},
		{"last", "a=1&user_id=5", "user_id=5", "a=1"},
		{"last two", "a=1&user_id=5&sig=6", "user_id=5 sig=6", "a=1"},
		{"first two", "user_id=5&sig=6&a=1", "user_id=5 sig=6", "a=1"},
		{"both ends", "user_id=5&a=1&sig=6", "user_id=5 sig=6", "a=1"},
		{"nothing else", "user_id=5&sig=6", "user_id=5 sig=6", ""},
		{"empty segments", "&&user_id=5&&", "user_id=5", "&&&"},
		{"first before an empty segment", "user_id=5&", "user_id=5", ""},
		{"twice", "user_id=5&user_id=5", "user_id=5 user_id=5", ""},
		{"no equals sign", "a=1&user_id", "user_id=", "a=1"},
		{"empty value", "user_id=", "user_id=", ""},
		{"equals sign in the value", "user_id=a=b", "user_id=a=b", ""},
		{"decoded", "user_id=a+b%2Bc%C3%A9%00", "user_id=a b+cé\x00", ""},
		{"escaped name", "user%5Fid=1&%73ig=2", "user_id=1 sig=2", ""},
		{"name beyond ASCII", "%D0%B8%D0%BC%D1%8F=1", "имя=1", ""},
		{"escaped separators", "user_id=1%26user_id%3D2%3B", "user_id=1&user_id=2;", ""},
		{"bracket in the value", "user_id=[1]", "user_id=[1]", ""},

		{"letter case", "USER_ID=1", "user_id?", ""},
		{"folding beyond ASCII", "u%C5%BFer_id=1", "user_id?", ""},
		{"folding of a name beyond ASCII", "%D0%98%D0%BC%D1%8F=1", "имя?", ""},
		{"dot", "user.id=1", "user_id?", ""},
		{"blank", "user+id=1", "user_id?", ""},
		{"open bracket", "user[id=1", "user_id?", ""},
		{"array", "user_id[]=1", "user_id?", ""},
		{"escaped array", "user_id%5B%5D=1", "user_id?", ""},
		{"object", "user_id[a][b]=1", "user_id?", ""},
		{"variant of an array", "+User.id%00[]=1", "user_id?", ""},
		{"closing bracket", "user_id]=1", "user_id?", ""},
		{"in brackets", "[user_id]=1", "user_id?", ""},
		{"another's array", "a[user_id]=1", "", "a[user_id]=1"},
		{"array of what comes before the underscore", "user[id]=1", "", "user[id]=1"},
		{"cut at NUL", "user_id%00x=1", "user_id?", ""},
		{"NUL before it", "%00user_id=1", "", "%00user_id=1"},
		{"outer blanks", "+%09%0D%0A%0B%0Cuser_id%20=1", "user_id?", ""},
		{"question mark", "?user_id=1", "user_id?", ""},
		{"question mark that would come first", "user_id=1&?sig=2&a=3", "user_id=1 sig?", "a=3"},
		{"byte-order mark", "%EF%BB%BFuser_id=1", "user_id?", ""},
		{"Spring's marker of an empty field", "_user_id=1", "user_id?", ""},
		{"Spring's marker of a default", "!user_id=1", "user_id?", ""},
		{"both markers", "!_user_id=1", "user_id?", ""},
		{"marker, as PHP reads it", ".user_id=1", "user_id?", ""},
		{"two markers", "__user_id=1", "", "__user_id=1"},
		{"markers in another order", "_!user_id=1", "", "_!user_id=1"},
		{"marker and blanks", "+_+user_id=1", "user_id?", ""},
		{"longer", "user_id2=1", "", "user_id2=1"},
		{"shorter", "user_i=1", "", "user_i=1"},
		{"escaped twice", "user%255Fid=1", "", "user%255Fid=1"},
		{"value where qs ends the name", "user_id=a]=b&sig=a%5d=b", "user_id? sig?", ""},

		{"semicolon in the value", "a=1&user_id=1;b=2&c=3", "user_id?", "a=1&c=3"},
		{"semicolon in the name", "user_id;x=1", "user_id?", ""},
		{"after a semicolon", "a=1;user_id=5;b=2&c=3", "user_id?", "a=1;b=2&c=3"},
		{"after a semicolon and a blank", "a=1; user_id=5", "user_id?", "a=1"},
		{"semicolon first", ";user_id=5&a", "user_id?", "&a"},
		{"two of a segment", "a;user_id=5;b;sig=6&c", "user_id? sig?", "a;b&c"},
		{"own and another's segment", "a&user_id=5;x;sig=6&c", "user_id? sig?", "a&&c"},
		{"escaped semicolon", "a=1%3Buser_id=5", "", "a=1%3Buser_id=5"},
		{"semicolon elsewhere", "a;b&user_id=5", "user_id=5", "a;b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var matches claimform.Matches
			for _, strict := range []bool{true, false} {
				if err := claimform.URLEncoded([]byte(tc.raw), names, strict, &matches); err != nil {
					t.Fatalf("refused: %v", err)
				}
				if got := show(list, matches.List); got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
				if left := cutHits([]byte(tc.raw), matches.List, every); string(left) != tc.left {
					t.Errorf("leaves %q, want %q", left, tc.left)
				}
			}
		})
	}
}

func TestURLEncodedErrors(t *testing.T) {
	names := compile("user_id", "sig")
	for _, tc := range []struct {
		name, raw       string
		strict, lenient error
		field           int // -1: the body
	}{
		{"bad escape in a value", "sig=%4", claimform.ErrEscape, claimform.ErrEscape, 1},
		{"bad escape in a watched name", "user_id[%]=1", claimform.ErrEscape, claimform.ErrEscape, 0},
		{"percent sign at the end", "user_id=1%", claimform.ErrEscape, claimform.ErrEscape, 0},
		{"bad digit", "user_id=%4g", claimform.ErrEscape, claimform.ErrEscape, 0},
		{"escape across the separator", "user_id=%4&1", claimform.ErrEscape, claimform.ErrEscape, 0},
		{"JavaScript's escape of a name", "user%u005Fid=1", claimform.ErrEscape, claimform.ErrEscape, 0},
		{"bad escape elsewhere", "a=%4&user_id=1", claimform.ErrEscape, nil, -1},
		{"bad escape in another name", "%zz=1&user_id=1", claimform.ErrEscape, nil, -1},
		{"bad escape in a watched value, then elsewhere", "user_id=%&a=%", claimform.ErrEscape, claimform.ErrEscape, -1},
		{"bad escape elsewhere, then in a watched value", "a=%&user_id=%", claimform.ErrEscape, claimform.ErrEscape, -1},
		{"another charset", "_charset_=utf-16&user_id=1", claimform.ErrCharset, nil, -1},
		{"another charset, escaped", "user_id=1&%5FCharset_=UTF%2D7", claimform.ErrCharset, nil, -1},
		{"another charset, behind a semicolon", "a;_charset_=utf-7", claimform.ErrCharset, nil, -1},
		{"no charset", "_charset_=", claimform.ErrCharset, nil, -1},
		{"UTF-8", "_charset_=utf-8&_charset_=UTF8", nil, nil, -1},
		{"US-ASCII", "_charset_=US%2DASCII", nil, nil, -1},
		{"value not UTF-8", "sig=%ff", claimform.ErrUTF8, claimform.ErrUTF8, 1},
		{"raw value not UTF-8", "sig=\xff", claimform.ErrUTF8, claimform.ErrUTF8, 1},
		{"surrogate", "sig=%ED%A0%80", claimform.ErrUTF8, claimform.ErrUTF8, 1},
		{"name not UTF-8", "%ff=1", claimform.ErrUTF8, nil, -1},
		{"raw name not UTF-8", "a\xff=1", claimform.ErrUTF8, nil, -1},
		{"other value not UTF-8", "a=%ff", nil, nil, -1},
		{"value not ASCII", "user_id=é", claimform.ErrEscape, claimform.ErrEscape, 0},
		{"other value not ASCII", "a=é", nil, nil, -1},
		{"raw NUL", "a=\x00", claimform.ErrEscape, claimform.ErrEscape, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var matches claimform.Matches
			for _, strict := range []bool{true, false} {
				want := tc.lenient
				if strict {
					want = tc.strict
				}
				field := tc.field
				if !strict && want != nil && bytes.IndexByte([]byte(tc.raw), 0) < 0 {
					field = max(field, 0) // nothing but a watched field is refused
				}
				checkFault(t, claimform.URLEncoded([]byte(tc.raw), names, strict, &matches), &matches, want, field)
			}
		})
	}
}

// TestUnreadableFields: what is wrong with a field says nothing of the others.
func TestUnreadableFields(t *testing.T) {
	list := []string{"user_id", "sig", "email"}
	for _, tc := range []struct {
		raw  string
		want string
	}{
		{"email=%&user_id=1&sig=2", "email! user_id=1 sig=2"},
		{"user_id=1&email[]=%zz&sig=2", "user_id=1 email?! sig=2"},
		{"user_id=1&email=%ff&sig=%fe", "user_id=1 email! sig!"},
		{"email=é&user_id=1;x&sig=%C3%A9", "email! user_id? sig=é"},
		{"user_id=1&email=" + strings.Repeat("+", 70<<10) + "&sig=%32", "user_id=1 email! sig=2"},
	} {
		var matches claimform.Matches
		if err := claimform.URLEncoded([]byte(tc.raw), compile(list...), true, &matches); err != nil || show(list, matches.List) != tc.want {
			t.Errorf("%.40q: %v, %q, want %q", tc.raw, err, show(list, matches.List), tc.want)
		}
	}
}

// TestURLEncodedCutSome cuts some fields only, as when attributes stay.
func TestURLEncodedCutSome(t *testing.T) {
	names := compile("user_id", "email")
	for _, tc := range []struct{ raw, left string }{
		{"a=1&user_id=5&email=x", "a=1&email=x"},
		{"a=1&email=x&user_id=5", "a=1&email=x"},
		{"user_id=5&email=x", "email=x"},
		{"email=x&user_id=5", "email=x&"},
		{"user_id=5&email=x&a=1", "email=x&a=1"},
		{"a=1&user_id=5;email=x&b=2", "a=1&;email=x&b=2"},
		{"a=1&email=x;user_id=5&b=2", "a=1&email=x&b=2"},
		{"a=1;user_id=5;email=x&b=2", "a=1;email=x&b=2"},
	} {
		var matches claimform.Matches
		if err := claimform.URLEncoded([]byte(tc.raw), names, true, &matches); err != nil {
			t.Fatal(err)
		}
		left := cutHits([]byte(tc.raw), matches.List, func(match claimform.Match) bool { return match.Name == 0 })
		if string(left) != tc.left {
			t.Errorf("%q leaves %q, want %q", tc.raw, left, tc.left)
		}
	}
}

// TestURLEncodedAllocs fixes that a body of any shape costs no allocation once
// its Matches have grown, which also rules out work that is done again and again.
func TestURLEncodedAllocs(t *testing.T) {
	names := compile("user_id", "sig")
	for _, unit := range []string{"&", ";", "a;", "a&", "%20", "u", "user_id;", "user_id&", "[", "user_id[", "]=", "user_id=%41&", "u%73er_id=1;", "=", "+", "?"} {
		t.Run(unit, func(t *testing.T) {
			raw := []byte(strings.Repeat(unit, 64<<10/len(unit)))
			var matches claimform.Matches
			read := func() {
				if err := claimform.URLEncoded(raw, names, true, &matches); err != nil {
					t.Fatal(err)
				}
			}
			read()
			if n := testing.AllocsPerRun(5, read); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// TestURLEncodedLinear reads a megabyte of what invites quadratic work: a
// quadratic pass over any of these takes minutes.
func TestURLEncodedLinear(t *testing.T) {
	names := compile("user_id", "sig")
	for _, unit := range []string{"&", ";", "[", "a;", "a&", "user_id;", "user_id&", "user_id[", "user_id=]", "%", "%u", "+", "?", "user_id+", "é", "="} {
		for _, frame := range []string{"%s", "user_id%s", "%suser_id", "user_id=%s&a=%%", "a;%s"} {
			raw := fmt.Appendf(nil, frame, strings.Repeat(unit, 1<<20/len(unit)))
			for _, strict := range []bool{true, false} {
				var matches claimform.Matches
				claimform.URLEncoded(raw, names, strict, &matches)
				if n := bytes.Count(raw, []byte("user_id")); len(matches.List) > n {
					t.Errorf("%q in %q: %d matches of %d", unit, frame, len(matches.List), n)
				}
			}
		}
	}
}

func BenchmarkURLEncoded(b *testing.B) {
	names := compile("user_id", "user_hash", "timestamp", "nonce", "email", "name")
	for _, tc := range []struct{ name, raw string }{
		{"claim", "user_id=42&user_hash=" + strings.Repeat("0a", 32) + "&message=hello+world%21"},
		{"64KiB in one", "user_id=42&message=" + strings.Repeat("hello+world%21", 64<<10/14)},
		{"64KiB in many", "user_id=42" + strings.Repeat("&message=hello", 64<<10/14)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			raw := []byte(tc.raw)
			var matches claimform.Matches
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if err := claimform.URLEncoded(raw, names, true, &matches); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
