// Package parsertest asks other languages' parsers what they read in a request: no
// backend may find a claim there other than the verified one.
//
// Each language has one program in the folder backends, a server that answers every
// request with what its parsers read. The tests ask the parsers that come with the
// languages; the long run, "make fuzz", asks frameworks and servers, too.
package parsertest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Where a parser reads: the body, as JSON or as a form; the query; both of a form
// (merged); cookies; or the path, where a conversation follows /chat/c/.
const (
	JSON   = "json"
	Form   = "form"
	Query  = "query"
	Cookie = "cookie"
	Merged = "merged"
	Path   = "path"
)

// An Answer is what each parser of a backend read, by its name.
type Answer map[string]*Reading

// A Reading is what one parser read.
type Reading struct {
	Place  string
	Fields []Field // nil if the parser refused the request, for the reason Fault
	Fault  string
}

// A Field is a value and the path of names that leads to it. The value is "s" and a
// string, "i" and the digits of an integer, or "x" and a description of anything else.
type Field struct {
	Path  []string
	Value string
}

// UnmarshalJSON reads [path, value], with strings in base64.
func (f *Field) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &[2]any{&f.Path, &f.Value}); err != nil {
		return err
	}
	if encoded, ok := strings.CutPrefix(f.Value, "s"); ok {
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return fmt.Errorf("%w in %s", err, text)
		}
		f.Value = "s" + string(decoded)
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (f Field) MarshalJSON() ([]byte, error) {
	value := f.Value
	if text, ok := strings.CutPrefix(value, "s"); ok {
		value = "s" + base64.StdEncoding.EncodeToString([]byte(text))
	}
	return json.Marshal([2]any{f.Path, value})
}

// Under returns the values at a path, and those below it, as of another type. Outside
// JSON, it also returns values at the path's last name, and at the path with brackets
// or dots, for parsers that know no structure.
func (r *Reading) Under(path ...string) (values []string) {
	bracketed := path[0]
	for _, name := range path[1:] {
		bracketed += "[" + name + "]"
	}
	flat := []string{path[len(path)-1], bracketed, strings.Join(path, ".")}
	for _, f := range r.Fields {
		switch {
		case slices.Equal(f.Path, path), r.Place != JSON && len(f.Path) == 1 && slices.Contains(flat, f.Path[0]):
			values = append(values, f.Value)
		case len(f.Path) > len(path) && slices.Equal(f.Path[:len(path)], path):
			values = append(values, "x"+strings.Join(f.Path, "/")+" "+f.Value)
		}
	}
	return values
}
