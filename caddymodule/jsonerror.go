package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// UnmarshalJSON implements [json.Unmarshaler], for errors that an operator understands.
func (h *Handler) UnmarshalJSON(text []byte) error {
	type plain Handler
	return strictJSON(text, (*plain)(h))
}

// UnmarshalJSON implements [json.Unmarshaler], for errors that an operator understands.
func (a *App) UnmarshalJSON(text []byte) error {
	type plain App
	return strictJSON(text, (*plain)(a))
}

// strictJSON decodes an object. Its errors say which option was meant, and what it takes.
func strictJSON(text []byte, to any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(to)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return fmt.Errorf("%s takes %s, not %s", wrong.Field, inJSON[wrong.Type.Kind()], strings.Replace("a "+wrong.Value, "a o", "an o", 1))
	}
	if err == nil || !strings.HasPrefix(err.Error(), "json: unknown field ") {
		return err
	}
	name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
	if meant := choice.Nearest(name, jsonNames(reflect.TypeOf(to).Elem())); meant != "" {
		name += "' (did you mean '" + meant + "'?)"
	} else {
		name += "'"
	}
	return errors.New("unknown option '" + name)
}

// inJSON is what JSON calls a kind of value, as in an error.
var inJSON = map[reflect.Kind]string{
	reflect.String: "a string", reflect.Int: "a number", reflect.Int64: "a number", reflect.Bool: "true or false",
	reflect.Slice: "a list", reflect.Struct: "an object", reflect.Map: "an object",
}

// jsonNames are the names of a structure's fields in JSON, those of its parts included.
func jsonNames(t reflect.Type) (names []string) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for _, field := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && field.IsExported() {
			names = append(append(names, name), jsonNames(field.Type)...)
		}
	}
	return names
}
