package diagnose

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// separators are what is written between the parts of a message.
var separators = []string{":", ".", "|", "\n", ",", "-", " "}

// addArrangements adds what is signed in place of a message of several fields:
// its parts in another order, with something between them or some left out,
// and another writing of the time.
func (p *format) addArrangements(v *variants, c *claim) {
	fields := p.fields()
	right := p.signRight()
	if len(fields) < 2 {
		if len(p.parts) > 1 {
			v.add(join(fields, "", c), true, deviation{"value_alone_signed", "the " + strings.ReplaceAll(fields[0].String(), "_", " ") + " alone was signed", right})
		}
		return
	}
	var (
		order    = deviation{"parts_order", "the parts of the message were signed in another order", right}
		between  = deviation{"parts_separated", "something else was written between the parts of the message", right}
		joined   = deviation{"parts_joined", "the parts of the message were signed with nothing between them", right}
		leftOut  = deviation{"parts_left_out", "not all parts of the message were signed", right}
		byEmail  = deviation{"email_signed", "the e-mail address was signed instead of the user id", right}
		unit     = deviation{"timestamp_unit", "the time was signed in seconds and sent in milliseconds, or the reverse", right}
		notation = deviation{"timestamp_notation", "the time was signed as a date and sent as a number", right}
	)
	var whole, some [][]verifier.Field // the message's own order is the first of the whole ones
	for _, o := range orders(fields) {
		if len(o) == len(fields) {
			whole = append(whole, o)
		} else {
			some = append(some, o)
		}
	}
	sent := c[verifier.Timestamp]
	emailed := *c
	emailed[verifier.UserID] = c[verifier.Email]
	swapsEmail := !p.signs(verifier.Email) && len(c[verifier.Email]) > 0 && withinDiagnosis(c[verifier.Email])

	for _, o := range whole[1:] {
		v.add(string(p.arrange(o, c)), true, order)
	}
	for _, s := range separators {
		v.add(join(fields, s, c), true, between)
	}
	v.add(join(fields, "", c), true, joined)
	for _, o := range some {
		v.add(join(o, "", c), true, leftOut)
	}
	for _, text := range otherNotations(sent) {
		v.add(p.withTime(fields, text, c), true, notation)
	}
	if text, ok := otherUnit(sent); ok {
		v.add(p.withTime(fields, text, c), true, unit)
		for _, o := range whole[1:] {
			v.add(p.withTime(o, text, c), false, order, unit)
		}
	}
	for _, o := range whole[1:] {
		for _, s := range separators {
			v.add(join(o, s, c), false, order, between)
		}
		v.add(join(o, "", c), false, order, joined)
		if swapsEmail {
			v.add(string(p.arrange(o, &emailed)), false, byEmail, order)
		}
	}
	if swapsEmail {
		for _, s := range separators {
			v.add(join(fields, s, &emailed), false, byEmail, between)
		}
		v.add(string(c[verifier.Email]), false, byEmail, leftOut)
	}
}

func (p *format) withTime(order []verifier.Field, text string, c *claim) string {
	changed := *c
	changed[verifier.Timestamp] = []byte(text)
	return string(p.arrange(order, &changed))
}

func join(fields []verifier.Field, separator string, c *claim) string {
	values := make([]string, len(fields))
	for i, f := range fields {
		values[i] = string(c[f])
	}
	return strings.Join(values, separator)
}

// orders returns each order of each choice of the fields. A message has four fields at
// most.
func orders(fields []verifier.Field) (all [][]verifier.Field) {
	for i, f := range fields {
		all = append(all, []verifier.Field{f})
		for _, tail := range orders(slices.Delete(slices.Clone(fields), i, i+1)) {
			all = append(all, append([]verifier.Field{f}, tail...))
		}
	}
	return all
}

// unixTime reads a Unix time of 10 digits (seconds) or 13 (milliseconds).
func unixTime(timestamp []byte) (t time.Time, ok bool) {
	n, err := strconv.ParseInt(string(timestamp), 10, 64)
	switch {
	case err != nil || n < 0 || timestamp[0] == '+':
		return t, false
	case len(timestamp) == 10:
		return time.Unix(n, 0), true
	}
	return time.UnixMilli(n), len(timestamp) == 13
}

// otherUnit returns a time of seconds in milliseconds, and the reverse.
func otherUnit(timestamp []byte) (string, bool) {
	if _, ok := unixTime(timestamp); !ok {
		return "", false
	}
	if len(timestamp) == 10 {
		return string(timestamp) + "000", true
	}
	return string(timestamp[:10]), true
}

// otherNotations returns a time as it is printed by default elsewhere.
func otherNotations(timestamp []byte) []string {
	t, ok := unixTime(timestamp)
	if !ok {
		return nil
	}
	t = t.UTC()
	return []string{
		t.Format(time.RFC3339), t.Format("2006-01-02T15:04:05.000Z"), t.Format("2006-01-02T15:04:05+00:00"),
		string(timestamp) + ".0", strconv.FormatInt(t.UnixNano(), 10),
	}
}
