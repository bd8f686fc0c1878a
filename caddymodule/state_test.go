package caddymodule

import "testing"

func TestAttribute(t *testing.T) {
	object := `{"plan":"pro","caf\u00e9":"\ud83e\udd8a","seats":5,"tags":["a"],"null":null,"yes":true,"empty":"","last":"l"}`
	for name, want := range map[string]string{
		"plan": "pro", "café": "🦊", "seats": "5", "tags": `["a"]`, "null": "null", "yes": "true", "empty": "", "last": "l",
		"Plan": "", "": "", "a": "",
	} {
		if got := attributeOf(object, name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if attributeOf("", "plan") != "" || attributeOf("{}", "plan") != "" {
		t.Error("an attribute of nothing")
	}
}
