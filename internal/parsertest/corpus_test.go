package parsertest

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"strings"
)

//go:embed shapes.json
var shapes []byte

// A Shape is a way to write a name and a value in a request that parsers read
// differently. Its texts have placeholders such as {name}, {name:percent} and
// {value}: see Fill.
type Shape struct {
	ID      string      `json:"id"`
	Reader  string      `json:"reader"`  // who reads it so
	Site    string      `json:"site"`    // which gateway it is for; default "watched"
	Method  string      `json:"method"`  // default POST
	Target  string      `json:"target"`  // default /chat/messages
	Type    []string    `json:"type"`    // the lines of Content-Type
	Header  [][2]string `json:"header"`  // further lines
	Body    string      `json:"body"`    //
	Encode  string      `json:"encode"`  // how the body is encoded
	Chunked bool        `json:"chunked"` // without a Content-Length
	Version int         `json:"version"` // of HTTP; default 1
	Held    string      `json:"held"`    // the conversation that another user holds; default "conv1"
	Sent    string      `json:"sent"`    // how it is written; default Held
	Free    []string    `json:"free"`    // the reasons expected without a watched name; default "missing"
	Typed   string      `json:"typed"`   // harmless if forwarded with this type
	Loose   bool        `json:"loose"`   // only the parsers decide whether it may be forwarded
}

// Shapes returns the corpus.
func Shapes() ([]*Shape, error) {
	var all []*Shape
	if err := json.Unmarshal(shapes, &all); err != nil {
		return nil, err
	}
	for _, s := range all {
		for field, value := range map[*string]string{&s.Site: "watched", &s.Method: http.MethodPost, &s.Target: "/chat/messages", &s.Held: "conv1"} {
			if *field == "" {
				*field = value
			}
		}
		if s.Sent == "" {
			s.Sent = s.Held
		}
		if s.Free == nil {
			s.Free = []string{"missing"}
		}
	}
	return all, nil
}

// Fill returns the request for a path and a value. {name} is a path of one name;
// {outer} and {inner} are a path of two.
func (s *Shape) Fill(path []string, value string) (*Request, error) {
	r := placeholders(path, value)
	body, err := encode(s.Encode, r.Replace(s.Body))
	if err != nil {
		return nil, err
	}
	request := &Request{Method: s.Method, Target: r.Replace(s.Target), Header: make(http.Header), Body: body, Chunked: s.Chunked, Version: s.Version}
	for _, line := range s.Type {
		request.Header.Add("Content-Type", r.Replace(line))
	}
	for _, line := range s.Header {
		request.Header.Add(line[0], r.Replace(line[1]))
	}
	return request, nil
}

func placeholders(path []string, value string) *strings.Replacer {
	var all []string
	add := func(placeholder, text string, spellings map[string]func(string) string) {
		all = append(all, "{"+placeholder+"}", text)
		for spelling, write := range spellings {
			all = append(all, "{"+placeholder+":"+spelling+"}", write(text))
		}
	}
	if len(path) == 1 {
		add("name", path[0], spellings)
	} else {
		add("outer", path[0], spellings)
		add("inner", path[1], spellings)
	}
	add("value", value, spellings)
	return strings.NewReplacer(all...)
}
