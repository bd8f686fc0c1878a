package caddymodule

import "testing"

func TestAttribute(t *testing.T) {
	object := `{"plan":"pro","caf\u00e9":"\ud83e\udd8a","seats":5,"tags":["a"],"null":null,"yes":true,"empty":"","last":"l"}`
	for name, want := range map[string]string{
		"plan": "pro", "café": "🦊", "seats": "5", "tags": `["a"]`, "null": "null", "yes": "true", "empty": "", "last": "l",
		"Plan": "", "": "", "a": "",
	} {
		equal(t, attributeOf(object, name), want, "%s", name)
	}
	if attributeOf("", "plan") != "" || attributeOf("{}", "plan") != "" {
		t.Error("an attribute of nothing")
	}
}
