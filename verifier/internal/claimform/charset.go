package claimform

import "bytes"

// charset is what a Content-Type says of a part's bytes. Many parsers ignore it;
// werkzeug and Python's email decode as it says, with any codec of Python's.
type charset uint8

const (
	inUTF8  charset = iota
	inASCII         // ASCII is written as in ASCII, and all else otherwise
	unknown         // such as UTF-16, UTF-7 or EBCDIC
)

// asciiCharsets are what names of supersets of ASCII begin with.
var asciiCharsets = []string{
	"us-ascii", "ascii", "iso-8859-", "iso8859-", "iso_8859-", "latin1", "windows-125", "cp125", "windows-874",
	"gbk", "gb2312", "gb18030", "big5", "euc-", "shift_jis", "shift-jis", "sjis", "windows-31j", "ks_c_5601", "koi8-", "tis-620", "macintosh",
}

// parseType reads the value of a Content-Type header. Formidable makes a file of
// every part that has one, and busboy of application/octet-stream: of these only
// text/plain is a field, which Android's HTTP clients write for each.
func parseType(value []byte) (other bool, c charset) {
	media, rest, more := bytes.Cut(value, []byte(";"))
	other = !equalFold(trimSpaces(media), "text/plain")
	if !more {
		return other, inUTF8
	}
	name, ok := cutPrefixFold(trimSpaces(rest), "charset=")
	if ok && len(name) > 1 && name[0] == '"' && name[len(name)-1] == '"' {
		name = name[1 : len(name)-1]
	}
	switch {
	case ok && (equalFold(name, "utf-8") || equalFold(name, "utf8")):
		return other, inUTF8
	case ok && tokenEnd(name) == len(name) && isASCIICharset(name):
		return other, inASCII
	case !ok && !ContainsFold(rest, "charset"):
		return true, inUTF8
	}
	return true, unknown
}

func isASCIICharset(name []byte) bool {
	for _, prefix := range asciiCharsets {
		if _, ok := cutPrefixFold(name, prefix); ok {
			return true
		}
	}
	return false
}

// leavesUTF8 reports whether a value of _charset_ leaves a form in UTF-8.
func leavesUTF8(value []byte) bool {
	return equalFold(value, "utf-8") || equalFold(value, "utf8") || equalFold(value, "us-ascii") || equalFold(value, "ascii")
}
