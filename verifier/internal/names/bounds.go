package names

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// bounds returns how many NULs are between s.at and the letter or digit before
// it, or free.
func (s *scanner) bounds() uint8 {
	nulls := 0
	for nulls <= maxNulls && nulls < s.at && s.text[s.at-1-nulls] == 0 {
		nulls++
	}
	end := s.at - nulls
	switch {
	case end == 0 || nulls > maxNulls:
	case nulls == 0 && s.text[end-1] >= utf8.RuneSelf:
		if isText(utf8.DecodeLastRune(s.text[:end])) {
			return 0
		}
	case isAlphanumeric(s.text[end-1]) && isZero(s.text[max(0, end-1-nulls):end-1]):
		return uint8(nulls)
	}
	return free
}

// bounded reports whether a name that ends at s.at has neither a letter nor a
// digit beside it. In UTF-16 and UTF-32 that is one of ASCII, with as many NULs
// on both sides as there are between two characters of the name.
func (s *scanner) bounded(n nulls) bool {
	if n.before() == n.most() {
		return false
	}
	nulls := int(n.most())
	behind := s.text[s.at:]
	switch {
	case len(behind) <= nulls || !isZero(behind[:nulls]):
		return true
	case nulls == 0 && behind[0] >= utf8.RuneSelf:
		return !isText(utf8.DecodeRune(behind))
	}
	return !isAlphanumeric(behind[nulls]) || !isZero(behind[nulls+1:min(2*nulls+1, len(behind))])
}

func isZero(text []byte) bool {
	return !slices.ContainsFunc(text, func(c byte) bool { return c != 0 })
}

// inUTF8 reports whether the last byte is part of a character in UTF-8.
func (s *scanner) inUTF8() bool {
	for start := s.at - 1; start >= 0 && s.at-start <= utf8.UTFMax; start-- {
		if r, size := utf8.DecodeRune(s.text[start:]); r != utf8.RuneError && start+size >= s.at {
			return true
		}
	}
	return false
}

// isText reports whether what was decoded as UTF-8 is a letter or digit.
func isText(r rune, size int) bool {
	return (r != utf8.RuneError || size > 1) && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// isLetter reports whether what an escape stands for can only be a letter or a
// digit. From 0x80 to 0xbf it may be the last byte of any character in UTF-8.
func isLetter(v rune) bool {
	return (v < utf8.RuneSelf || v > 0xbf) && (unicode.IsLetter(v) || unicode.IsDigit(v))
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
