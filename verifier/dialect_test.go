package verifier

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for f := UserID; f < Widget; f++ {
		if got, ok := parseField(f.String()); !ok || got != f {
			t.Errorf("%s: %v, %v", f, got, ok)
		}
	}
	for _, name := range []string{"widget", "", "User_ID", "userid"} {
		if _, ok := parseField(name); ok {
			t.Errorf("%q is a field", name)
		}
	}
	var f Field
	if err := f.UnmarshalText([]byte("phone")); err != nil || f != Phone {
		t.Errorf("%v, %v", f, err)
	}
	if err := f.UnmarshalText([]byte("widget")); err == nil || !strings.HasSuffix(err.Error(), "one of user_id, signature, timestamp, nonce, token, session, email, name, phone, company, attributes") {
		t.Error(err)
	}
	if _, err := compileReader([]Place{{Field: UserID, Location: "path"}}, ""); err == nil || !strings.HasSuffix(err.Error(), "one of body, query, header, cookie") {
		t.Error(err)
	}
}

func TestDialects(t *testing.T) {
	if DefaultDialect != Dialects[0].Name {
		t.Error(DefaultDialect)
	}
	if _, err := LookupDialect("Bookbag"); err == nil || !strings.Contains(err.Error(), "one of bookbag, nextcap, inviaro, replybubble, snapengage, jwt, ") {
		t.Errorf("names of dialects are exact: %v", err)
	}
	for _, d := range Dialects {
		if got, err := LookupDialect(d.Name); err != nil || got.Name != d.Name {
			t.Errorf("%s: %v", d.Name, err)
		}
		signature := d.Message != ""
		if !signature && !d.TakesToken() {
			t.Errorf("%s has no proof", d.Name)
		}
		for f := UserID; f <= TokenField; f++ {
			needed := f == TokenField
			if signature {
				m, err := parseMessage(d.Message, defaultNonceLength)
				if err != nil {
					t.Errorf("%s: %v", d.Name, err)
				}
				needed = f == Signature || m.Signs(f) || f == TokenField && d.TakesToken()
			}
			if d.has(f) != needed {
				t.Errorf("%s: %s is sent %v, needed %v", d.Name, f, d.has(f), needed)
			}
		}
		if _, err := d.Verifier(); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		for _, p := range d.AllPlaces() {
			if p.Location == atQuery && strings.Contains(p.Name, "/") {
				t.Errorf("%s: a parameter %s", d.Name, p.Name)
			}
		}
		if inBody := slices.ContainsFunc(d.Places, func(p Place) bool { return p.inBody() }); d.Query && !inBody {
			t.Errorf("%s: no names are read from the query, since none are in the body", d.Name)
		}
		if l := d.Limits; l.UserID <= 0 || l.Name <= 0 || l.Company <= 0 || l.Phone <= 0 || l.Email <= 0 || l.Attributes <= 0 || l.AttributeBytes <= 0 {
			t.Errorf("%s: %+v", d.Name, l)
		}
	}
	for name, want := range map[string]struct{ query, widget, both bool }{
		"bookbag": {query: true}, "inviaro": {query: true, widget: true}, "replybubble": {}, "jwt": {query: true}, "stream": {widget: true},
		"chatwoot": {query: true, widget: true}, "intercom": {true, true, true}, "munin": {widget: true}, "magicbell": {widget: true},
	} {
		d, err := LookupDialect(name)
		if got := (struct{ query, widget, both bool }{d.Query, d.NamesWidget(), d.TakesToken() && d.Message != ""}); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	replybubble, _ := LookupDialect("replybubble")
	if l := replybubble.Limits; l != (Limits{UserID: 512, Email: 254, Name: 200, Company: 200, Phone: 50, Attributes: 20, AttributeBytes: 8192, Scalars: true}) || Dialects[0].Limits != defaultLimits {
		t.Errorf("%+v, %+v", l, Dialects[0].Limits)
	}
}

// TestBadRows: what is wrong with a row is said with its member.
func TestBadRows(t *testing.T) {
	const row = `{"product": "X", "traffic": "wire", "known_from": "its source", "claim": ["user_id body /id", "signature body /hash"], "message": "{user_id}"}`
	if r, err := readRow("x", []byte(row)); err != nil || r.Order != math.MaxInt || len(r.Places) != 2 || r.Name != "x" || r.Product != "X" || r.Answers != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for was, c := range map[string][2]string{
		`"X"`:                    {`""`, "product: "},
		`"wire"`:                 {`"seen"`, "traffic: "},
		`"its source"`:           {`""`, "known_from: "},
		`"message"`:              {`"massage"`, "massage"},
		`"product"`:              {`"Product"`, "Product"},
		`"{user_id}"`:            {`"{user_id}", "answers": 200`, "answers: "},
		`"{user_id}"}`:           {`"{user_id}", "answers": "401"}`, "/answers"},
		`"{user_id}"} `:          {`"{id}"}`, "message"},
		`"traffic"`:              {`"encoding": "base32", "traffic"`, "encoding"},
		`"traffic": `:            {`"key_encoding": "base32", "traffic": `, "key encoding"},
		`"product": "X", `:       {`"product": "X", "Name": "x", `, "Name"},
		`"user_id body /id"`:     {`"user body /id"`, "claim[0]: "},
		`"signature body /hash"`: {`"signature body hash"`, "claim[1]: "},
		`"signature body`:        {`"signature path`, "claim[1]: "},
		`"product": "X"`:         {`"product": "X", "max_age": "soon"`, "/max_age"},
		`"product": "X",`:        {`"product": "X", "product": "Y",`, "product"},
		`"product": `:            {`"token": {"userid": "/sub"}, "product": `, "/token"},
		` "X"`:                   {` "X", "limits": {"user_id": "many"}`, "/limits/user_id"},
	} {
		bad := strings.Replace(row, strings.TrimSpace(was), c[0], 1)
		r, err := readRow("x", []byte(bad))
		if err == nil {
			_, err = r.Verifier() // of the built-in ones, TestDialects
		}
		if bad == row || err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
