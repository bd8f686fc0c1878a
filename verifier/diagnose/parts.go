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

// addArrangements adds what is signed in place of a message of several fields: its parts in
// another order, with something between them or some left out, and another writing of the
// time.
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
	var two []variant
	add := func(text string, deviations ...deviation) {
		if len(deviations) == 1 {
			v.add(text, true, deviations...)
		} else if len(deviations) == 2 {
			two = append(two, variant{[]byte(text), deviations, false})
		}
	}
	arrange := func(c *claim, done ...deviation) {
		add(string(p.message(c)), done...)
		for _, o := range orders(fields) {
			done := slices.Clip(done)
			if len(o) < len(fields) {
				add(join(o, "", c), append(done, leftOut)...)
				continue
			}
			if !slices.Equal(o, fields) {
				done = append(done, order)
				add(string(p.arrange(o, c)), done...)
			}
			for _, s := range separators {
				add(join(o, s, c), append(done, between)...)
			}
			add(join(o, "", c), append(done, joined)...)
		}
	}
	arrange(c)
	changed := *c
	for _, changed[verifier.Timestamp] = range otherNotations(c[verifier.Timestamp]) {
		add(string(p.message(&changed)), notation)
	}
	if text, ok := otherUnit(c[verifier.Timestamp]); ok {
		changed[verifier.Timestamp] = text
		arrange(&changed, unit)
	}
	if !p.signs(verifier.Email) && len(c[verifier.Email]) > 0 && withinDiagnosis(c[verifier.Email]) {
		changed = *c
		changed[verifier.UserID] = c[verifier.Email]
		arrange(&changed, byEmail)
	}
	for _, t := range two { // which are less likely
		v.add(string(t.text), false, t.deviations...)
	}
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
func otherUnit(timestamp []byte) ([]byte, bool) {
	if _, ok := unixTime(timestamp); !ok {
		return nil, false
	}
	if len(timestamp) == 10 {
		return append(slices.Clip(timestamp), "000"...), true
	}
	return timestamp[:10], true
}

// otherNotations returns a time as it is printed by default elsewhere.
func otherNotations(timestamp []byte) [][]byte {
	t, ok := unixTime(timestamp)
	if !ok {
		return nil
	}
	t = t.UTC()
	return [][]byte{
		t.AppendFormat(nil, time.RFC3339), t.AppendFormat(nil, "2006-01-02T15:04:05.000Z"), t.AppendFormat(nil, "2006-01-02T15:04:05+00:00"),
		append(slices.Clip(timestamp), ".0"...), strconv.AppendInt(nil, t.UnixNano(), 10),
	}
}
