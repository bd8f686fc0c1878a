package claimform_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// nested compiles names, of which "a/b" is b within a and "a/b/" a text on the
// way.
func nested(names ...string) *claimform.Names {
	list := make([]claimform.Name, len(names))
	for i, name := range names {
		name, list[i].Way = strings.CutSuffix(name, "/")
		list[i].Path = strings.Split(name, "/")
	}
	return claimform.Compile(list)
}

// TestNames is about names that are no plain words, or alike.
func TestNames(t *testing.T) {
	for _, tc := range []struct {
		name  string
		names []string
		raw   string
		want  string
	}{
		{"differ in case", []string{"userId", "userID"}, "userID=1&a=2", "userId? userID=1"},
		{"the same", []string{"a", "a"}, "a=1", "a=1 a=1"},
		{"dot", []string{"user.id"}, "user.id=1&user_id=2", "user.id=1 user.id?"},
		{"brackets", []string{"user[id]", "user"}, "user[id]=1", "user[id]=1 user?"},
		{"bracket within", []string{"user[id]"}, "user[id]=1]=2", "user[id]=1]=2"},
		{"trailing underscore", []string{"id_"}, "id+=1&id.=2&id=3&id__=4", "id_? id_?"},
		{"leading underscore", []string{"_id", "id"}, "_id=1&id=2&__id=3", "_id=1 id? id=2 _id?"},
		{"leading bang", []string{"!id"}, "!id=1&id=2", "!id=1"},
		{"empty", []string{"", "b"}, "=1&&b=2", "b=2"},
		{"bracket only", []string{"["}, "[=1&]=2&=3&+=4&[[=5", "[=1"},
		{"blank only", []string{" "}, "+=1&++=2&=3", " =1"},
		{"none", nil, "a=1", ""},
		{"digit", []string{"1st"}, "1st=1&1ST=2", "1st=1 1st?"},
		{"kelvin sign", []string{"k"}, "%E2%84%AA=1", "k?"},
		{"beyond ASCII", []string{"имя", "naïve", "ß"}, "%D0%98%D0%9C%D0%AF=1&na%C3%8Fve=2&%E1%BA%9E=3&nai%CC%88ve=4", "имя? naïve? ß?"},
		{"quotes", []string{`a"b'c`}, "a%22b'c=1&abc=2", `a"b'c=1`},
		{"prefixes", []string{"a", "ab", "abc"}, "abc=1&ab=2&a=3&abcd=4", "abc=1 ab=2 a=3"},
		{"charset", []string{"_charset_"}, "_charset_=utf-8", "_charset_=utf-8"},
	} {
		t.Run(tc.name, func(t *testing.T) { checkNames(t, compile(tc.names...), tc.names, tc.raw, tc.want) })
	}
}

func TestNestedNames(t *testing.T) {
	names := []string{"user/id", "variables/input/user_id", "a.b/c d", "list/0/x"}
	for _, tc := range []struct {
		raw  string
		want string
	}{
		{"user[id]=1", "user/id?"},
		{"user.id=1", "user/id?"},
		{"USER[Id]=1", "user/id?"},
		{"user[][id]=1", "user/id?"},
		{"user[0][id]=1", "user/id?"},
		{"user[0].id=1", "user/id?"},
		{"user[].id=1", "user/id?"},
		{"user.0.id=1", "user/id?"},
		{"user[0][12][id]=1", "user/id?"},
		{"user['id']=1", "user/id?"},
		{"user[%22id%22]=1", "user/id?"},
		{"user[id=1", "user/id?"},
		{"user]id=1", "user/id?"}, // old versions of Rack
		{"[user]0]id=1", "user/id?"},
		{"[user]x[id]y=1", "user/id?"}, // qs
		{"user[0]x.y[x[id]=1", "user/id?"},
		{"user[0]x.id=1", "user/id?"}, // qs that reads dots
		{"[user][id]=1", "user/id?"},
		{"user[id]x=1", "user/id?"},
		{"user[id][x]=1", "user/id?"},
		{"user.id.x=1", "user/id?"},
		{"user[id][]=1", "user/id?"},
		{"user[id]%00=1", "user/id?"},
		{"+user+[+id+]+=1", "user/id?"},
		{"_user.id=1", "user/id?"},
		{"!user[id]=1", "user/id?"},
		{"%75ser%5Bid%5D=1", "user/id?"},
		{"user%u005Bid]=1", "user/id?!"},
		{"a;user[id]=1", "user/id?"},
		{"user[id;x]=1", "user/id?"},

		{"user_id=1", ""},
		{"user+id=1", ""},
		{"user'id=1", ""},
		{"userid=1", ""},
		{"user[x][id]=1", ""},
		{"user[0]x[y][id]=1", ""},
		{"user[a0][id]=1", ""},
		{"user[0a][id]=1", ""},
		{"user[idx]=1", ""},
		{"user[xid]=1", ""},
		{"x[user][id]=1", ""},
		{"users[id]=1", ""},
		{"id=1", ""},
		{"user%00[id]=1", "user/id?"},

		{"variables[input][user_id]=1", "variables/input/user_id?"},
		{"variables.input.user_id=1", "variables/input/user_id?"},
		{"variables[input].user_id=1", "variables/input/user_id?"},
		{"variables.input[user_id]=1", "variables/input/user_id?"},
		{"variables[0].input[][user_id]=1", "variables/input/user_id?"},
		{"variables[input][user.id]=1", "variables/input/user_id?"},
		{"variables[input]=1", ""},
		{"a.b[c d]=1&a_b[c_d]=1&a[b][c d]=1", "a.b/c d? a.b/c d?"},
		{"list[0][x]=1&list[0].x=1&list[0][0][x]=1", "list/0/x? list/0/x? list/0/x?"},
		{"list[1][x]=1&list[x]=1", ""},
	} {
		t.Run(tc.raw, func(t *testing.T) { checkNames(t, nested(names...), names, tc.raw, tc.want) })
	}
}

// TestWay: a text on the way is found with its value, whichever spelling its
// name has, and not where its name goes on.
func TestWay(t *testing.T) {
	names := []string{"user/", "variables/input/", "id", "user/id", "user_data/"}
	for _, tc := range []struct {
		raw  string
		want string
	}{
		{"user=%7B%7D", "user/={}"},
		{"user", "user/="},
		{"user=1&user=2", "user/=1 user/=2"},
		{"USER=1", "user/?=1"},
		{"user[]=1", "user/?=1"},
		{"user[0]=1", "user/?=1"},
		{"user[0][]=1", "user/?=1"},
		{"user[][x=1", "user/?=1"}, // PHP ignores a bracket that nothing closes
		{"user.0=1", "user/?=1"},
		{"_user=1", "user/?=1"},
		{"user%00x=1", "user/?=1"},
		{"user[0].x=1", "user/?=1"}, // qs ignores what follows
		{"[user]x=1", "user/?=1"},
		{"user[x]=1", ""},
		{"user[id]=1", "user/id?"},
		{"user.x=1", ""},
		{"variables[input]={}", "variables/input/={}"},
		{"variables.input=[]", "variables/input/?=[]"},
		{"variables=1", ""},
		{"user.data=1&user+data=1", "user_data/?=1 user_data/?=1"}, // as PHP reads dots and spaces
		{"user.data[0]=1&user.data[x]=1", "user_data/?=1"},
		// What one reader takes for the value's end is for another within.
		{"user={a;b}", "user/?={a;b}"},
		{"a;user={a;b}", "user/?={a;b}"},
		{"user=a]=b", "user/=a]=b"},
		{"user={\"a\":\"é\"}&id=1", "user/={\"a\":\"é\"} id=1"},
		{"user=%ff", "user/=\xff"},
	} {
		t.Run(tc.raw, func(t *testing.T) { checkNames(t, nested(names...), names, tc.raw, tc.want) })
	}
	// A bad escape is in none of the fields that are looked for.
	var matches claimform.Matches
	raw := []byte("user=%zz")
	checkFault(t, claimform.URLEncoded(raw, nested(names...), true, &matches), &matches, claimform.ErrEscape, -1)
	if err := claimform.URLEncoded(raw, nested(names...), false, &matches); err != nil || show(names, matches.List) != "user/=%zz" {
		t.Errorf("in a query: %v, %q", err, show(names, matches.List))
	}
}

// checkNames reads a form and a query, and their names once more as those of
// parts, where no '+' is a blank.
func checkNames(t *testing.T, names *claimform.Names, list []string, raw, want string) {
	t.Helper()
	var matches claimform.Matches
	if err := claimform.URLEncoded([]byte(raw), names, false, &matches); err != nil {
		t.Fatal(err)
	}
	if got := show(list, matches.List); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	at := claimform.Span{}
	for _, match := range matches.List {
		if match.Span != at && match.Span.Start < at.End || match.Span.End <= match.Span.Start || match.Span.End > len(raw) {
			t.Errorf("spans not in order: %v", matches.List)
		}
		at = match.Span
	}
	if strings.ContainsAny(raw, ";") {
		return
	}
	var parts []string
	for segment := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(segment, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || name == "" || strings.ContainsAny(name, "\x00\"") || strings.Contains(value, "%") {
			return
		}
		parts = append(parts, part("", `form-data; name="`+name+`"`, "", value))
	}
	err := readMultipart(form("b", parts...), "b", names, &matches)
	if slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(p, "charset") }) {
		return
	}
	if got := show(list, matches.List); err != nil || got != want {
		t.Errorf("in parts: %v, %q, want %q", err, got, want)
	}
}
