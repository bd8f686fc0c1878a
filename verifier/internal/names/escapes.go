package names

import "unicode"

// nothing is what an escape without a value stands for, as a line
// continuation. No character has it.
const nothing rune = -1

// An escape is one that has begun and may go on: its kind, the number of digits
// read or still to be read, and the value so far, in one word, since readings
// are copied and compared for every byte.
type escape uint32

func begun(k kind, digits, value rune) escape {
	return escape(k)<<25 | escape(digits)<<21 | escape(value)
}

func (e escape) kind() kind   { return kind(e >> 25) }
func (e escape) digits() rune { return rune(e >> 21 & 0xf) }
func (e escape) value() rune  { return rune(e & (1<<21 - 1)) }

type kind uint8

const (
	_         kind = iota
	backslash      // \: what follows says which escape this is
	written        // the same, but itself written as an escape
	percent        // %
	equals         // =, of quoted-printable
	ampersand      // &, of HTML and XML
	hexadecimal
	octal
	codeUnit   // behind \u or %u: u again and again, {, or four digits
	braces     // \u{75}
	reference  // behind &#
	referenceX // behind &#x
	separator  // U+2028 or U+2029 behind a backslash, in UTF-8 or UTF-16
	margin     // behind an escaped newline
)

// opens returns the escape that begins with v.
func opens(v rune) kind {
	switch v {
	case '\\':
		return backslash
	case '%':
		return percent
	case '=':
		return equals
	case '&':
		return ampersand
	}
	return 0
}

// next has the escape read v, its next character. If open, it may go on as
// after; if done, it may also be complete and stand for value.
func (e escape) next(v rune) (after escape, open bool, value rune, done bool) {
	digit, isHex := hexDigit(v)
	switch e.kind() {
	case backslash, written:
		return behindBackslash(v)
	case percent:
		if v == 'u' || v == 'U' {
			return begun(codeUnit, 0, 0), true, 0, false
		}
		return begun(hexadecimal, 1, digit), isHex, 0, false
	case equals:
		switch v {
		case ' ', '\t': // RFC 2045 section 6.7, rule 3: removed before a newline
			return e, true, 0, false
		case '\r', '\n':
			return begun(margin, 0, 0), true, nothing, true
		}
		return begun(hexadecimal, 1, digit), isHex, 0, false
	case hexadecimal:
		left := e.digits() - 1
		value = e.value()<<4 | digit
		if !isHex || value > maxValue {
			return 0, false, 0, false
		}
		return begun(hexadecimal, left, value), left > 0, value, left == 0
	case codeUnit:
		switch v {
		case 'u', 'U':
			return e, true, 0, false
		case '{':
			return begun(braces, 0, 0), true, 0, false
		}
		return begun(hexadecimal, 3, digit), isHex, 0, false
	case octal:
		value = e.value()<<3 | (v - '0')
		if !isOctal(v) || value > 0xff {
			return 0, false, 0, false
		}
		return begun(octal, e.digits()+1, value), e.digits() < 2, value, true
	case braces:
		if v == '}' {
			return 0, false, e.value(), e.digits() > 0
		}
		value = e.value()<<4 | digit
		if !isHex || value > maxValue {
			return 0, false, 0, false
		}
		return begun(braces, 1, value), true, 0, false
	case ampersand:
		return begun(reference, 0, 0), v == '#', 0, false
	case reference, referenceX:
		return e.inReference(v)
	case separator:
		if v == 0x80 && e == begun(separator, 0, 0xe2) {
			return begun(separator, 1, 0xe2), true, 0, false
		}
		switch e {
		case begun(separator, 1, 0xe2):
			done = v == 0xa8 || v == 0xa9
		case begun(separator, 0, ' '):
			done = v == '(' || v == ')'
		case begun(separator, 0, '('), begun(separator, 0, ')'):
			done = v == ' '
		}
		return 0, false, nothing, done
	case margin:
		done = isBlank(v) || e.digits() == 0 && v == '\n'
		return begun(margin, 1, 0), done, nothing, done
	}
	return 0, false, 0, false
}

func behindBackslash(v rune) (after escape, open bool, value rune, done bool) {
	switch v {
	case 'u':
		return begun(codeUnit, 0, 0), true, 0, false
	case 'x', 'X':
		return begun(hexadecimal, 2, 0), true, 0, false
	case 'U':
		return begun(hexadecimal, 8, 0), true, 0, false
	case '\r':
		return begun(margin, 0, 0), true, nothing, true
	case '\n', 0x2028, 0x2029:
		return begun(margin, 1, 0), true, nothing, true
	case 0xe2, ' ', '(', ')':
		return begun(separator, 0, v), true, 0, false
	case 'a', 'b', 'e', 'f', 'n', 'r', 't', 'v':
		return 0, false, '\n', true // or another control character: a bound
	}
	if isOctal(v) {
		return begun(octal, 1, v-'0'), true, v - '0', true
	}
	return 0, false, 0, false
}

// inReference reads a numeric reference, whose semicolon readers of HTML do
// without.
func (e escape) inReference(v rune) (after escape, open bool, value rune, done bool) {
	base := rune(10)
	if e.kind() == referenceX {
		base = 16
	} else if e.digits() == 0 && (v == 'x' || v == 'X') {
		return begun(referenceX, 0, 0), true, 0, false
	}
	if v == ';' {
		return 0, false, e.value(), e.digits() > 0
	}
	digit, isHex := hexDigit(v)
	value = e.value()*base + digit
	if !isHex || digit >= base || value > maxValue {
		return 0, false, 0, false
	}
	return begun(e.kind(), 1, value), true, value, true
}

// maxValue is the largest code point.
const maxValue = 0x10ffff

// HexDigits holds the value of each hexadecimal digit, and a negative number for
// every other byte.
var HexDigits = func() (t [256]rune) {
	for i := range t {
		t[i] = -1 << 16
	}
	for i, c := range "0123456789abcdef" {
		t[c], t[unicode.ToUpper(c)] = rune(i), rune(i)
	}
	return t
}()

func hexDigit(v rune) (digit rune, ok bool) {
	if uint32(v) > 0xff || HexDigits[v] < 0 {
		return 0, false
	}
	return HexDigits[v], true
}

func isOctal(v rune) bool { return '0' <= v && v <= '7' }

func isBlank(v rune) bool { return v == ' ' || v == '\t' }
