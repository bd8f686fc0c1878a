package names

import "bytes"

// StandInHeader is Stand for the header block of a multipart part, in which
// names are written in further ways: in folded lines, in encoded words (RFC
// 2047) and in parameters with a charset or in pieces (RFC 2231). Where the
// charset is none of KnownCharset, or the pieces can be joined in several ways,
// it cannot be told, nor where no work is left. A nil work has no bound.
func (s *Set) StandInHeader(block []byte, work *Work) (name string, ok bool) {
	if len(s.names) == 0 {
		return "", false
	}
	if name, ok = s.standJoined(block, work); !ok && bytes.IndexByte(block, 0) >= 0 {
		name, ok = s.standJoined(cutAtNULs(block), work)
	}
	return name, ok
}

// standJoined is StandInHeader for a block as it is, and with its lines joined in
// each way in which a reader does so.
func (s *Set) standJoined(block []byte, work *Work) (name string, ok bool) {
	for i, instead := range []string{" ", "", keepSpaces} {
		unfolded, folded := join(block, isContinued, instead)
		if !folded {
			name, ok = s.standDecoded(block, maxLayers, work)
			break
		}
		if i == 0 {
			name, ok = s.stand(block, work)
		}
		if !ok {
			name, ok = s.standDecoded(unfolded, maxLayers, work)
		}
		if ok {
			break
		}
	}
	// A line without a colon is none of its own to PHP, which joins it to the one before, as
	// it does a folded one. Behind an empty line is no header any more.
	lone := false
	joined, some := join(block, func(before, line []byte) bool {
		folded, bare := isContinued(before, line), len(line) > 0 && bytes.IndexByte(line, ':') < 0
		lone = lone || bare && !folded
		return len(before) > 0 && (bare || folded)
	}, keepSpaces)
	if !some {
		joined = block
	}
	if lone && !ok {
		return s.standDecoded(joined, maxLayers, work)
	}
	return name, ok
}

// isContinued reports whether a line of a header continues what is before.
func isContinued(_, line []byte) bool { return len(line) > 0 && isBlank(rune(line[0])) }

// keepSpaces has join remove the newline alone.
const keepSpaces = "keep"

// join returns a header block with some of its lines joined to those before, with
// something instead of the newline and the spaces behind it. It reports whether there are
// such lines.
func join(block []byte, joins func(before, line []byte) bool, instead string) (joined []byte, some bool) {
	before, newline := firstLine(block)
	for at := len(before) + len(newline); at < len(block); {
		start := at
		var line []byte
		line, newline = firstLine(block[start:])
		at += len(line) + len(newline)
		continues := joins(before, line)
		if before = line; continues {
			if !some {
				joined, some = append(make([]byte, 0, len(block)), block[:start]...), true
			}
			joined = bytes.TrimRight(joined, "\r\n")
			if instead != keepSpaces {
				joined = append(joined, instead...)
				line = bytes.TrimLeft(line, " \t")
			}
		}
		if some {
			joined = append(append(joined, line...), newline...)
		}
	}
	return joined, some
}

// firstLine returns a block's first line, and the newline that ends it.
func firstLine(block []byte) (line, newline []byte) {
	end := bytes.IndexAny(block, "\r\n")
	if end < 0 {
		return block, nil
	}
	n := 1
	if bytes.HasPrefix(block[end:], []byte("\r\n")) {
		n = 2
	}
	return block[:end], block[end : end+n]
}

// cutAtNULs returns a header block with each line cut at its first NUL: to PHP
// they are C strings.
func cutAtNULs(block []byte) []byte {
	cut := make([]byte, 0, len(block))
	for len(block) > 0 {
		line, newline := firstLine(block)
		block = block[len(line)+len(newline):]
		line, _, _ = bytes.Cut(line, []byte{0})
		cut = append(append(cut, line...), newline...)
	}
	return cut
}

// maxLayers is how often a header is decoded: words in pieces of parameters,
// and the reverse.
const maxLayers = 2

// IsEncoded reports whether something of a text may be written as in RFC 2047 or RFC 2231.
func IsEncoded(text []byte) bool {
	_, _, _, word := cutWord(text)
	_, _, parameter := cutStar(text)
	return word || parameter
}

func isEncoded(text []byte) bool {
	return bytes.IndexByte(text, '*') >= 0 || bytes.Contains(text, []byte("=?"))
}

func (s *Set) standDecoded(text []byte, layers int, work *Work) (name string, ok bool) {
	if layers == 0 || !isEncoded(text) {
		return s.stand(text, work)
	}
	if !work.spend(len(text)) {
		return s.names[0], true
	}
	words, known := decodeWords(text)
	joined, sure := joinParameters(text)
	if !known || !sure {
		return s.names[0], true
	}
	if name, ok = s.stand(text, work); !ok && words != nil {
		name, ok = s.standDecoded(words, layers-1, work)
	}
	if !ok && joined != nil {
		name, ok = s.standDecoded(joined, layers-1, work)
	}
	return name, ok
}
