package parsertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
)

// goParsers are the standard library's.
type goParsers [][]string

func (p goParsers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	kind := strings.ToLower(r.Header.Get("Content-Type"))
	cookies := make(url.Values)
	for _, c := range r.Cookies() {
		cookies.Add(c.Name, c.Value)
	}
	answer := Answer{
		"go json":        {Place: JSON, Fields: p.unmarshal(body)},
		"go json first":  {Place: JSON, Fields: p.decode(body)},
		"go json struct": {Place: JSON, Fields: p.bind(body)},
		"go query":       {Place: Query, Fields: p.values(r.URL.Query())},
		"go cookies":     {Place: Cookie, Fields: p.values(cookies)},
		"go path.Clean":  {Place: Path, Fields: routed(path.Clean(r.URL.Path))},
	}
	// Handlers that use FormValue never see an error.
	r.Body = io.NopCloser(bytes.NewReader(body))
	_ = r.ParseMultipartForm(1 << 20)
	fields := p.values(r.PostForm)
	if r.MultipartForm != nil {
		for name, files := range r.MultipartForm.File {
			for range files {
				fields = append(fields, p.pair(name, struct{}{})...)
			}
		}
	}
	answer["go form"] = &Reading{Place: Form, Fields: fields}
	answer["go FormValue"] = &Reading{Place: Merged, Fields: p.values(r.Form)}
	if strings.Contains(kind, "multipart") {
		answer["go multipart"] = &Reading{Place: Form, Fields: p.parts(r.Header.Get("Content-Type"), body)}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// leaves returns the values below a path of names.
func leaves(names []string, value any) (fields []Field) {
	add := func(name string, inner any) {
		fields = append(fields, leaves(append(slices.Clone(names), name), inner)...)
	}
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		if v == "" {
			return nil
		}
		return []Field{{names, "s" + v}}
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return []Field{{names, "x" + v.String()}}
		}
		return []Field{{names, "i" + v.String()}}
	case map[string]any:
		if len(names) < 8 {
			for _, name := range slices.Sorted(maps.Keys(v)) {
				add(name, v[name])
			}
		}
	case []any:
		if len(names) < 8 {
			for i, inner := range v {
				add(fmt.Sprint(i), inner)
			}
		}
	}
	if fields == nil {
		fields = []Field{{names, fmt.Sprintf("x%.200v", value)}}
	}
	return fields
}

// pair returns the values of a name that contains a watched one.
func (p goParsers) pair(name string, value any) []Field {
	for _, path := range p {
		if strings.Contains(strings.ToLower(name), strings.ToLower(path[0])) {
			return leaves([]string{name}, value)
		}
	}
	return nil
}

func (p goParsers) values(values url.Values) []Field {
	fields := []Field{}
	for name, list := range values {
		for _, value := range list {
			fields = append(fields, p.pair(name, value)...)
		}
	}
	return fields
}

// routed reads the path as a backend's route does.
func routed(path string) []Field {
	rest, found := strings.CutPrefix(path, "/chat/c/")
	if conversation, _, _ := strings.Cut(rest, "/"); found && conversation != "" {
		return []Field{{[]string{"conversation_id"}, "s" + conversation}}
	}
	return []Field{}
}

// firstOf reads the first document of a text.
func firstOf(text []byte) (document any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&document)
	return document, err
}

// decode ignores what follows the first document.
func (p goParsers) decode(body []byte) []Field {
	document, err := firstOf(body)
	if err != nil {
		return nil
	}
	fields := []Field{}
	object, _ := document.(map[string]any)
	for name, value := range object {
		fields = append(fields, p.pair(name, value)...)
	}
	return fields
}

func (p goParsers) unmarshal(body []byte) []Field {
	if !json.Valid(body) {
		return nil
	}
	return p.decode(body)
}

// bind reads into a struct, as most backends do: names are found in any case.
func (p goParsers) bind(body []byte) []Field {
	fields := []Field{}
	for _, path := range p {
		into := reflect.New(structFor(path))
		if err := json.Unmarshal(body, into.Interface()); err != nil {
			return nil
		}
		value := into.Elem()
		for range path {
			value = value.Field(0)
		}
		if len(value.Bytes()) == 0 {
			continue
		}
		document, err := firstOf(value.Bytes())
		if err != nil {
			return nil
		}
		fields = append(fields, leaves(path, document)...)
	}
	return fields
}

// structFor returns the type that a backend would declare for a path.
func structFor(path []string) reflect.Type {
	inner := reflect.TypeFor[json.RawMessage]()
	if len(path) > 1 {
		inner = structFor(path[1:])
	}
	return reflect.StructOf([]reflect.StructField{{
		Name: "Field", Type: inner, Tag: reflect.StructTag(fmt.Sprintf(`json:%q`, path[0])),
	}})
}

// parts includes those before an error, because handlers that stream act on them.
func (p goParsers) parts(contentType string, body []byte) []Field {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	fields := []Field{}
	reader := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		part, err := reader.NextPart()
		if err != nil {
			return fields
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return fields
		}
		var value any = string(content)
		if part.FileName() != "" {
			value = struct{}{}
		}
		fields = append(fields, p.pair(part.FormName(), value)...)
	}
}
