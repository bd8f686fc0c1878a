package verifier

import (
	"bytes"
	"strconv"
	"time"
)

// separators are what is written between the parts of a message.
var separators = []string{":", ".", "|", "\n", ",", "-", " "}

// addArrangements adds what is signed in place of a message of several fields:
// its parts in another order, with something between them or some left out,
// and another writing of the time.
func (p *Policy) addArrangements(v *variants, c *Claim) {
	m := &p.Message
	fields := m.fields()
	if len(fields) < 2 {
		return
	}
	right := p.signRight()
	var (
		order    = slip{"parts_order", "the parts of the message were signed in another order", right}
		between  = slip{"parts_separated", "something else was written between the parts of the message", right}
		joined   = slip{"parts_joined", "the parts of the message were signed with nothing between them", right}
		leftOut  = slip{"parts_left_out", "not all parts of the message were signed", right}
		byEmail  = slip{"email_signed", "the e-mail address was signed instead of the user id", right}
		unit     = slip{"timestamp_unit", "the time was signed in seconds and sent in milliseconds, or the reverse", right}
		notation = slip{"timestamp_notation", "the time was signed as a date and sent as a number", right}
	)
	orders := permutations(fields)
	sent := c[Timestamp]
	emailed := *c
	emailed[UserID] = c[Email]
	swapsEmail := !m.Signs(Email) && len(c[Email]) > 0 && withinDiagnosis(c[Email])

	for _, o := range orders[1:] {
		v.add(m.arrange(o, c), true, order)
	}
	for _, s := range separators {
		v.add(join(fields, s, c), true, between)
	}
	v.add(join(fields, "", c), true, joined)
	for _, some := range sequences(fields) {
		v.add(join(some, "", c), true, leftOut)
	}
	for _, text := range otherNotations(sent) {
		v.add(m.withTime(fields, text, c), true, notation)
	}
	if text, ok := otherUnit(sent); ok {
		v.add(m.withTime(fields, text, c), true, unit)
		for _, o := range orders[1:] {
			v.add(m.withTime(o, text, c), false, order, unit)
		}
	}
	for _, o := range orders[1:] {
		for _, s := range separators {
			v.add(join(o, s, c), false, order, between)
		}
		v.add(join(o, "", c), false, order, joined)
		if swapsEmail {
			v.add(m.arrange(o, &emailed), false, byEmail, order)
		}
	}
	if swapsEmail {
		for _, s := range separators {
			v.add(join(fields, s, &emailed), false, byEmail, between)
		}
		v.add(c[Email], false, byEmail, leftOut)
	}
}

// fields returns the template's fields in their order.
func (m *Message) fields() []Field {
	var fields []Field
	for i := range m.parts {
		if m.parts[i].literal == nil {
			fields = append(fields, m.parts[i].field)
		}
	}
	return fields
}

// arrange returns the message with its fields in another order.
func (m *Message) arrange(order []Field, c *Claim) []byte {
	var text []byte
	next := 0
	for i := range m.parts {
		if m.parts[i].literal != nil {
			text = append(text, m.parts[i].literal...)
			continue
		}
		text = append(text, c[order[next]]...)
		next++
	}
	return text
}

func (m *Message) withTime(order []Field, text string, c *Claim) []byte {
	changed := *c
	changed[Timestamp] = []byte(text)
	return m.arrange(order, &changed)
}

func join(fields []Field, separator string, c *Claim) []byte {
	values := make([][]byte, len(fields))
	for i, f := range fields {
		values[i] = c[f]
	}
	return bytes.Join(values, []byte(separator))
}

// permutations returns all orders of the fields, theirs first. A message has
// four fields at most.
func permutations(fields []Field) [][]Field {
	if len(fields) <= 1 {
		return [][]Field{fields}
	}
	var all [][]Field
	for i := range fields {
		rest := append(append([]Field(nil), fields[:i]...), fields[i+1:]...)
		for _, tail := range permutations(rest) {
			all = append(all, append([]Field{fields[i]}, tail...))
		}
	}
	return all
}

// sequences returns each order of each choice of some, but not all, fields.
func sequences(fields []Field) [][]Field {
	var all [][]Field
	for choice := 1; choice < 1<<len(fields)-1; choice++ {
		var some []Field
		for i, f := range fields {
			if choice&(1<<i) != 0 {
				some = append(some, f)
			}
		}
		all = append(all, permutations(some)...)
	}
	return all
}

// otherUnit returns a time of seconds in milliseconds, and the reverse.
func otherUnit(timestamp []byte) (string, bool) {
	if _, ok := parseTimestamp(timestamp); !ok {
		return "", false
	}
	if len(timestamp) == secondsWidth {
		return string(timestamp) + "000", true
	}
	return string(timestamp[:secondsWidth]), true
}

// otherNotations returns a time as it is printed by default elsewhere.
func otherNotations(timestamp []byte) []string {
	t, ok := parseTimestamp(timestamp)
	if !ok {
		return nil
	}
	t = t.UTC()
	return []string{
		t.Format(time.RFC3339), t.Format("2006-01-02T15:04:05.000Z"), t.Format("2006-01-02T15:04:05+00:00"),
		string(timestamp) + ".0", strconv.FormatInt(t.UnixNano(), 10),
	}
}
