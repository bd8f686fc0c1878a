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
	if !isFolded(block) {
		name, ok = s.standDecoded(block, maxLayers, work)
	} else if name, ok = s.stand(block, work); !ok {
		for _, instead := range []string{" ", "", keepSpaces} {
			if name, ok = s.standDecoded(unfold(block, instead), maxLayers, work); ok {
				return name, ok
			}
		}
	}
	if !ok && hasLoneLine(block) {
		name, ok = s.standDecoded(joinLoneLines(block), maxLayers, work)
	}
	return name, ok
}

// isLone reports whether a line of a header is none of its own to PHP, which joins
// it to the one before: it has no colon, or begins with a space.
func isLone(line []byte) bool {
	return len(line) > 0 && (isBlank(rune(line[0])) || bytes.IndexByte(line, ':') < 0)
}

// hasLoneLine reports whether a lone line follows another that is not merely
// folded.
func hasLoneLine(block []byte) bool {
	for first := true; len(block) > 0; first = false {
		line, newline := firstLine(block)
		if !first && len(line) > 0 && !isBlank(rune(line[0])) && isLone(line) {
			return true
		}
		block = block[len(line)+len(newline):]
	}
	return false
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

// joinLoneLines returns a header block with its lone lines joined to those before.
func joinLoneLines(block []byte) []byte {
	joined := make([]byte, 0, len(block))
	before := 0 // how long the newline is at the end of joined
	for len(block) > 0 {
		line, newline := firstLine(block)
		if isLone(line) {
			joined = joined[:len(joined)-before]
		}
		joined = append(append(joined, line...), newline...)
		if before = len(newline); len(line) == 0 {
			before = 0 // an empty line ends the header
		}
		block = block[len(line)+len(newline):]
	}
	return joined
}

// maxLayers is how often a header is decoded: words in pieces of parameters,
// and the reverse.
const maxLayers = 2

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

// isFolded reports whether a line goes on in the next.
func isFolded(block []byte) bool {
	for i, c := range block {
		if i > 0 && isBlank(rune(c)) && (block[i-1] == '\r' || block[i-1] == '\n') {
			return true
		}
	}
	return false
}

// keepSpaces has unfold remove the newline alone.
const keepSpaces = "keep"

// unfold returns a header block with its folded lines joined: a newline and the
// spaces behind it replaced.
func unfold(block []byte, instead string) []byte {
	unfolded := make([]byte, 0, len(block))
	for len(block) > 0 {
		end := bytes.IndexAny(block, "\r\n")
		if end < 0 {
			end = len(block)
		}
		unfolded = append(unfolded, block[:end]...)
		block = block[end:]
		behind := bytes.TrimLeft(block, "\r\n")
		newlines := block[:len(block)-len(behind)]
		spaces := len(behind) - len(bytes.TrimLeft(behind, " \t"))
		switch {
		case spaces == 0: // the next header
			unfolded = append(unfolded, newlines...)
		case instead == keepSpaces:
			unfolded = append(unfolded, behind[:spaces]...)
		default:
			unfolded = append(unfolded, instead...)
		}
		block = behind[spaces:]
	}
	return unfolded
}
