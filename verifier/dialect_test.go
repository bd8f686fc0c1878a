package verifier

import (
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for f := UserID; f < Widget; f++ {
		if got, ok := ParseField(f.String()); !ok || got != f {
			t.Errorf("%s: %v, %v", f, got, ok)
		}
	}
	for _, name := range []string{"widget", "", "User_ID", "userid"} {
		if _, ok := ParseField(name); ok {
			t.Errorf("%q is a field", name)
		}
	}
	if FieldList() != "user_id, signature, timestamp, nonce, email, name, phone, company, attributes" {
		t.Error(FieldList())
	}
	for _, l := range []Location{Body, Query, Header, Cookie} {
		if got, ok := ParseLocation(l.String()); !ok || got != l {
			t.Errorf("%s: %v, %v", l, got, ok)
		}
	}
	if _, ok := ParseLocation("path"); ok || LocationList() != "body, query, header, cookie" {
		t.Error(LocationList())
	}
}

func TestDialects(t *testing.T) {
	if DialectList() != "bookbag, nextcap, inviaro, replybubble, snapengage" || DefaultDialect != Dialects[0].Name {
		t.Error(DialectList())
	}
	if _, ok := LookupDialect("Bookbag"); ok {
		t.Error("names of dialects are exact")
	}
	for _, d := range Dialects {
		got, ok := LookupDialect(d.Name)
		if !ok || got.Name != d.Name {
			t.Errorf("%s: %v", d.Name, ok)
		}
		if d.NamesWidget() != (d.Name == "inviaro") {
			t.Errorf("%s names its widget: %v", d.Name, d.NamesWidget())
		}
		m, err := ParseMessage(d.Message, DefaultNonceLength)
		if err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		for f := UserID; f <= Nonce; f++ {
			sent := slices.ContainsFunc(d.Places, func(p Place) bool { return p.Field == f })
			if needed := f == Signature || m.Signs(f); needed != sent {
				t.Errorf("%s: %s is sent %v, needed %v", d.Name, f, sent, needed)
			}
		}
		if _, err := NewReader(d.AllPlaces(), ReaderOptions{WidgetAt: true}); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		queries := 0
		for _, p := range d.AllPlaces() {
			if p.Location == Query {
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
