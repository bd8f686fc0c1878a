package verifier

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func withAttributes(t testing.TB, limits Limits, owned ...string) *Verifier {
	t.Helper()
	v := compiled(t, Dialect{Message: "{user_id}", Limits: limits})
	v.ownMembers = owned
	return v
}

func TestAppendAttributes(t *testing.T) {
	v := withAttributes(t, defaultLimits, "name", "email")
	for _, test := range []struct {
		name       string
		attributes string
		phone      string
		company    string
		want       string
	}{
		{"nothing", "", "", "", ""},
		{"an empty object", "{}", "", "", ""},
		{"blanks in an empty object", " { } ", "", "", ""},
		{"members that are fields", `{"name":"A","email":"a@b"}`, "", "", ""},
		{"one", `{"plan":"pro"}`, "", "", `{"plan":"pro"}`},
		{"blanks between tokens", " {\n\t\"plan\" : [ 1 , { \"a\" : null } ] ,\r \"b\" : true }\n", "", "", `{"plan":[1,{"a":null}],"b":true}`},
		{"blanks within strings", `{"a b":" c  d "}`, "", "", `{"a b":" c  d "}`},
		{"owned between others", `{"a":1,"name":"A","b":2}`, "", "", `{"a":1,"b":2}`},
		{"owned by an escaped name", `{"n\u0061me":"A","b":2}`, "", "", `{"b":2}`},
		{"owned only at the top", `{"a":{"name":"A"}}`, "", "", `{"a":{"name":"A"}}`},
		{"another case is not owned", `{"Name":"A"}`, "", "", `{"Name":"A"}`},
		{"not ASCII", `{"größe":"客"}`, "", "", `{"gr\u00f6\u00dfe":"\u5ba2"}`},
		{"beyond the basic plane", `{"fox":"🦊"}`, "", "", `{"fox":"\ud83e\udd8a"}`},
		{"escaped already", `{"a":"\u00e9\ud83e\udd8a\"\\\/\b\f\n\r\t"}`, "", "", `{"a":"\u00e9\ud83e\udd8a\"\\\/\b\f\n\r\t"}`},
		{"a quote and a backslash before the end", `{"a":"\\","b":"\"","c":" x "}`, "", "", `{"a":"\\","b":"\"","c":" x "}`},
		{"DEL", "{\"a\":\"x\x7f\"}", "", "", `{"a":"x\u007f"}`},
		{"C1 and line separators", "{\"a\":\"\u0085\u2028\u2029\ufeff\"}", "", "", `{"a":"\u0085\u2028\u2029\ufeff"}`},
		{"numbers as written", `{"a":-0,"b":1.50,"c":1E400,"d":12345678901234567890}`, "", "", `{"a":-0,"b":1.50,"c":1E400,"d":12345678901234567890}`},
		{"phone and company", "", "+49 30", "Ä \"B\"", `{"phone":"+49 30","company":"\u00c4 \"B\""}`},
		{"phone before attributes", `{"plan":"pro"}`, "1", "", `{"phone":"1","plan":"pro"}`},
		{"fields hide attributes", `{"phone":"2","company":"D","plan":"pro"}`, "1", "C", `{"phone":"1","company":"C","plan":"pro"}`},
		{"no field hides nothing", `{"phone":"2","company":"D"}`, "", "", `{"phone":"2","company":"D"}`},
		{"hidden by an escaped name", `{"ph\u006fne":"2"}`, "1", "", `{"phone":"1"}`},
		{"control characters in a field", "", "1\n\x00", "", `{"phone":"1\n\u0000"}`},
	} {
		r := &Reading{claim: claim{Attributes: []byte(test.attributes), Phone: []byte(test.phone), Company: []byte(test.company)}}
		got := string(v.AppendAttributes([]byte("> "), r))
		if got != "> "+test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
		if test.want == "" {
			continue
		}
		for _, b := range []byte(got) {
			if b < ' ' || b > '~' {
				t.Errorf("%s: the byte %#x cannot stand in a header", test.name, b)
			}
		}
		if !json.Valid([]byte(test.want)) {
			t.Errorf("%s: not valid JSON", test.name)
		}
	}
}

// TestAppendAttributesSays: what is written means what was sent.
func TestAppendAttributesSays(t *testing.T) {
	v := withAttributes(t, defaultLimits)
	for _, text := range []string{
		`{"a":"\u0000\u001f\u007f\u0080","ü":[true,false,null,{"😀":"😀😀"}],"":{"":""}}`,
		"{ \"\\\"\" : \"\\\\\" , \"\x7f\" : \"\u2028\" }",
	} {
		var sent, written any
		if err := json.Unmarshal([]byte(text), &sent); err != nil {
			t.Fatal(err)
		}
		out := v.AppendAttributes(nil, &Reading{claim: claim{Attributes: []byte(text)}})
		if err := json.Unmarshal(out, &written); err != nil || !reflect.DeepEqual(sent, written) {
			t.Errorf("%s became %s, %v", text, out, err)
		}
	}
}

func TestAttributeLimits(t *testing.T) {
	limits := Limits{UserID: 9, Attributes: 2, AttributeBytes: 40}
	scalars := limits
	scalars.Scalars = true
	for _, test := range []struct {
		name, text string
		limits     Limits
		error      string
	}{
		{"two", `{"a":1,"b":2}`, limits, ""},
		{"three", `{"a":1,"b":2,"c":3}`, limits, "attributes are more than 2"},
		{"two and fields of their own", `{"a":1,"own":0,"b":2}`, limits, ""},
		{"40 bytes", `{"a":"` + strings.Repeat("x", 32) + `"}`, limits, ""},
		{"41 bytes", `{"a":"` + strings.Repeat("x", 33) + `"}`, limits, "attributes are larger than 40 bytes"},
		{"bytes, not characters", `{"a":"` + strings.Repeat("é", 17) + `"}`, limits, "attributes are larger than 40 bytes"},
		{"twice", `{"a":1,"a":2}`, limits, "attributes hold a name twice, or half a surrogate pair"},
		{"twice, escaped", `{"a":1,"\u0061":2}`, limits, "hold a name twice"},
		{"twice, deeper", `{"a":[{"b":1,"b":2}]}`, limits, "hold a name twice"},
		{"a field of its own twice", `{"own":1,"own":2}`, limits, "hold a name twice"},
		{"half a surrogate pair", `{"a":"\ud83d"}`, limits, "half a surrogate pair"},
		{"half a surrogate pair in a name", `{"\ud83d":1}`, limits, "half a surrogate pair"},
		{"half a surrogate pair, deeper", `{"a":{"b":["\udc00"]}}`, limits, "half a surrogate pair"},
		{"kinds", `{"a":[],"b":{}}`, limits, ""},
		{"scalars", `{"a":"x","b":-1.5}`, scalars, ""},
		{"booleans", `{"a":true,"b":false}`, scalars, ""},
		{"an object", `{"a":{}}`, scalars, "neither string, number nor boolean"},
		{"an array", `{"a":[]}`, scalars, "neither string, number nor boolean"},
		{"null", `{"a":null}`, scalars, "neither string, number nor boolean"},
		{"a field of its own is no attribute", `{"own":null,"a":1}`, scalars, ""},
	} {
		v := withAttributes(t, test.limits, "own")
		var r Reading
		r.Text(Place{Field: UserID}, []byte("u"))
		r.Text(Place{Field: Signature}, []byte("s"))
		r.Text(Place{Field: Attributes}, []byte(test.text))
		var want error
		if test.error != "" {
			want = ErrMalformed
		}
		wantError(t, test.name, judged(v, &r), want, test.error)
	}
}
