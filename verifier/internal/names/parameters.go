package names

import (
	"bytes"
	"strings"
)

// joinParameters returns the names and file names of a header block that come
// in pieces (RFC 2231 section 3), joined, each in a line of its own; what is
// percent-encoded in them stays so, for Stand to read. sure is false where the
// pieces can be joined in several ways, or a charset is unknown.
func joinParameters(block []byte) (joined []byte, sure bool) {
	for line := range bytes.Lines(block) {
		var pieces [2]pieces
		for {
			p, rest, ok := cutParameter(line)
			if !ok {
				break
			}
			line = rest
			if p.extended && (p.number == "" || p.number == "0") && !knownExtended(p.value) {
				return nil, false
			}
			if p.number == "" {
				continue
			}
			of := &pieces[0]
			if p.file {
				of = &pieces[1]
			}
			if !of.add(p) {
				return nil, false
			}
		}
		for _, p := range pieces {
			if p.next > 0 {
				joined = append(append(joined, p.value...), '\n')
			}
		}
	}
	return joined, true
}

// A parameter is one with an asterisk behind its name.
type parameter struct {
	file     bool   // it is a file's name
	number   string // of the piece, or ""
	extended bool   // with a charset
	value    []byte // without quotes
}

type pieces struct {
	next  int
	value []byte
}

// add appends a piece, if it is the next.
func (p *pieces) add(next parameter) (ok bool) {
	number := 0
	for _, c := range next.number {
		if number = number*10 + int(c-'0'); number > p.next {
			return false
		}
	}
	if number != p.next || len(next.number) > 1 && next.number[0] == '0' {
		return false
	}
	p.next++
	p.value = append(p.value, next.value...)
	return true
}

// cutParameter returns the first parameter of a line that has an asterisk and
// is a name or a file's, within quotes, too: readers differ in where those end.
func cutParameter(line []byte) (p parameter, rest []byte, ok bool) {
	const spaces = " \t"
	for {
		before, value, ok := cutStar(line)
		if !ok {
			return p, nil, false
		}
		line = value
		p.file = hasSuffixFold(before, "filename")
		value = bytes.TrimLeft(value, spaces)
		digits := len(value) - len(bytes.TrimLeft(value, "0123456789"))
		p.number = string(value[:digits])
		value = bytes.TrimLeft(value[digits:], spaces)
		var again bool
		value, again = bytes.CutPrefix(value, []byte("*"))
		p.extended = again || digits == 0
		value, ok = bytes.CutPrefix(bytes.TrimLeft(value, spaces), []byte("="))
		if !ok {
			continue
		}
		p.value, rest = cutValue(bytes.TrimLeft(value, spaces))
		return p, rest, true
	}
}

// cutStar returns what is around the first asterisk behind name or filename, which may be
// on another line.
func cutStar(text []byte) (before, after []byte, ok bool) {
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], '*')
		if i < 0 {
			return nil, nil, false
		}
		at += i
		if before = bytes.TrimRight(text[:at], " \t\r\n"); hasSuffixFold(before, "name") {
			return before, text[at+1:], true
		}
	}
}

// cutValue returns a parameter's value without its quotes, but with the
// backslashes in it.
func cutValue(text []byte) (value, rest []byte) {
	if len(text) == 0 || text[0] != '"' {
		end := bytes.IndexAny(text, "; \t\r\n")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:]
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[1:i], text[i+1:]
		}
	}
	return text[1:], nil
}

// knownExtended reports whether an extended value has a charset of which it can
// be told what the value says.
func knownExtended(value []byte) bool {
	charset, _, ok := bytes.Cut(value, []byte("'"))
	return !ok || KnownCharset(string(charset))
}

func hasSuffixFold(text []byte, suffix string) bool {
	return len(text) >= len(suffix) && strings.EqualFold(string(text[len(text)-len(suffix):]), suffix)
}
