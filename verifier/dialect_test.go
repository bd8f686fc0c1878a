package verifier

import (
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
	if err := f.UnmarshalText([]byte("widget")); err == nil || !strings.HasSuffix(err.Error(), "one of user_id, signature, timestamp, nonce, token, email, name, phone, company, attributes") {
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
	if _, err := LookupDialect("Bookbag"); err == nil || !strings.HasSuffix(err.Error(), "one of bookbag, nextcap, inviaro, replybubble, snapengage") {
		t.Errorf("names of dialects are exact: %v", err)
	}
	for _, d := range Dialects {
		if got, err := LookupDialect(d.Name); err != nil || got.Name != d.Name {
			t.Errorf("%s: %v", d.Name, err)
		}
		if d.NamesWidget() != (d.Name == "inviaro") {
			t.Errorf("%s names its widget: %v", d.Name, d.NamesWidget())
		}
		m, err := parseMessage(d.Message, defaultNonceLength)
		if err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		for f := UserID; f <= Nonce; f++ {
			sent := slices.ContainsFunc(d.Places, func(p Place) bool { return p.Field == f })
			if needed := f == Signature || m.Signs(f); needed != sent {
				t.Errorf("%s: %s is sent %v, needed %v", d.Name, f, sent, needed)
			}
		}
		if _, err := d.Verifier(); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		queries := 0
		for _, p := range d.AllPlaces() {
			if p.Location == atQuery {
				queries++
				if strings.Contains(p.Name, "/") {
					t.Errorf("%s: a parameter %s", d.Name, p.Name)
				}
			}
		}
		if want := len(d.Places); d.Name == "replybubble" && queries != 0 || d.Name != "replybubble" && queries != want {
			t.Errorf("%s: %d parameters", d.Name, queries)
		}
		if l := d.Limits; l.UserID != 512 || l.Name != 200 || l.Company != 200 || l.Phone != 50 || l.Email != 254 || l.AttributeBytes != 8192 {
			t.Errorf("%s: %+v", d.Name, l)
		}
	}
}
