package dashboard

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// browserCode is what the page's template is filled with.
type browserCode struct {
	Send, Identify, Session string   // URLs; the last two may be ""
	Notes                   []string // what the code cannot say
	Query, Headers          []assignment
	JSON                    bool   // whether one of these is a JSON text
	Body, Message           string // the members of the objects that carry the proof and the message
}

// assignment is a name and the JavaScript expression that it gets.
type assignment struct {
	Name, Value string
}

// assign adds what a field gets in the query or a header. Several fields within one JSON
// text are sent by the first. What the claim lacks stays undefined.
func (c *browserCode) assign(to *[]assignment, p verifier.Place, value string) {
	a := assignment{Name: jsName(p.Name), Value: value}
	if slices.ContainsFunc(*to, func(other assignment) bool { return other.Name == a.Name }) {
		return
	}
	if p.Within != "" {
		c.JSON, a.Value = true, "json("+value+")"
	}
	if p.Base64 {
		a.Value = "btoa(" + a.Value + ")"
	}
	if p.Scheme != "" {
		a.Value = quote(p.Scheme+" ") + " + " + a.Value
	}
	if a.Value != value {
		a.Value = value + " && " + a.Value
	}
	*to = append(*to, a)
}

// browser returns the page's code for a widget of the site.
func (s *Site) browser(widget string) string {
	code := browserCode{Send: quote(s.url())}
	if s.Identify != "" {
		code.Identify = quote(s.origin() + s.Identify)
		if s.Sessions {
			code.Session = code.Identify
		}
	}
	if len(s.Paths) > 0 {
		code.Notes = append(code.Notes, "The gateway verifies "+strings.Join(s.Paths, " and ")+": post to the path of your chat there.")
	}
	if s.Widget.Name == "" && s.WidgetText != "" {
		code.Notes = append(code.Notes, "The gateway takes the widget's id, "+widget+", from "+s.WidgetText+".")
	}
	body := new(object)
	put := func(field verifier.Field, value string) {
		switch p := s.place(field); p.Location {
		case "header":
			code.assign(&code.Headers, p, value)
		case "query":
			code.assign(&code.Query, p, value)
		case "cookie":
			code.Notes = append(code.Notes, "The "+strings.ReplaceAll(field.String(), "_", " ")+" travels in the cookie "+p.Name+": have your server set it.")
		default:
			body.put(s.path(p), value)
		}
	}
	proof := s.signed()
	for _, field := range proof {
		value := s.names(field)
		if s.place(field).Location != "body" {
			value = value[:1] // of a JSON text the whole
		}
		put(field, access(value))
	}
	if s.place(verifier.Widget).Name != "" {
		put(verifier.Widget, quote(widget))
	}
	// The message carries the rest, except for what is in an object of the proof.
	message, noted := new(object), false
	message.add("text,")
	for _, unsigned := range []struct {
		field  verifier.Field
		sample string
	}{{verifier.Name, "Ada Lovelace"}, {verifier.Email, "ada@example.com"}} {
		p := s.place(unsigned.field)
		isID := func(q verifier.Place) bool { // without its signature it would be half a claim
			return q.Field == verifier.UserID && cmp.Or(q.Location, "body") == "body" && q.Name == p.Name && q.Within == p.Within
		}
		if p.Name == "" || p.Location != "body" || slices.Contains(proof, unsigned.field) || slices.ContainsFunc(s.Dialect.Places, isID) {
			continue
		}
		path, into := s.path(p), message
		if len(path) > 1 && body.has(path[0]) {
			into = body
		}
		if of := into.within(path[:len(path)-1]); !noted {
			of.add("// Optional. No signature covers these.")
			noted = true
		}
		into.put(path, quote(unsigned.sample))
	}
	code.Body, code.Message = body.text("      "), message.text("    ")
	return code.fill()
}

// object is an object literal that is being built: its lines, and objects after the line
// that opens them.
type object []member

type member struct {
	line string
	of   *object // or nil
}

func (o *object) add(line string) { *o = append(*o, member{line: line}) }

// find returns the index of an object's member that is an object, and its line.
func (o *object) find(name string) (i int, line string) {
	line = jsName(name) + ": {"
	return slices.IndexFunc(*o, func(m member) bool { return m.line == line }), line
}

func (o *object) has(name string) bool {
	i, _ := o.find(name)
	return i >= 0
}

// within returns the object at a path, which it creates.
func (o *object) within(path []string) *object {
	for _, name := range path {
		i, line := o.find(name)
		if i < 0 {
			i = len(*o)
			*o = append(*o, member{line, new(object)})
		}
		o = (*o)[i].of
	}
	return o
}

func (o *object) put(path []string, value string) {
	last := len(path) - 1
	o.within(path[:last]).add(jsName(path[last]) + ": " + value + ",")
}

// text returns the lines, indented.
func (o *object) text(indent string) string {
	var b strings.Builder
	for _, m := range *o {
		b.WriteString(indent + m.line + "\n")
		if m.of != nil {
			b.WriteString(m.of.text(indent+"  ") + indent + "},\n")
		}
	}
	return b.String()
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// jsName returns a property's name in an object literal.
func jsName(name string) string {
	if identifier.MatchString(name) {
		return name
	}
	return quote(name)
}

// access returns the access to a property of the claim, which may lack it.
func access(names []string) string {
	code := "claim"
	for i, name := range names {
		switch is := identifier.MatchString(name); {
		case i > 0 && is:
			code += "?." + name
		case i > 0:
			code += "?.[" + quote(name) + "]"
		case is:
			code += "." + name
		default:
			code += "[" + quote(name) + "]"
		}
	}
	return code
}

// quote returns a JavaScript string.
func quote(text string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // no text fails
	inside := strings.TrimSuffix(b.String(), "\n")
	return "'" + strings.NewReplacer(`\"`, `"`, "'", `\'`).Replace(inside[1:len(inside)-1]) + "'"
}
