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
	if !isFolded(block) {
		return s.standDecoded(block, maxLayers, work)
	}
	if name, ok = s.stand(block, work); ok {
		return name, ok
	}
	for _, instead := range []string{" ", "", keepSpaces} {
		if name, ok = s.standDecoded(unfold(block, instead), maxLayers, work); ok {
			break
		}
	}
	return name, ok
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
