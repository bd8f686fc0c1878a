package body

import "strings"

// Coding says whether the Content-Encoding of a declaration can be decoded.
type Coding uint8

// What a Content-Encoding can be.
const (
	// CodingNone is no Content-Encoding, or identity.
	CodingNone Coding = iota
	// CodingKnown is gzip, deflate, zstd, or a few of them one in another.
	CodingKnown
	// CodingUnknown is any other.
	CodingUnknown
)

// coding is one content coding.
type coding uint8

const (
	gzipped coding = iota
	deflated
	zstandard
)

// mostCodings bounds what decoding one in another can cost. No client sends two.
const mostCodings = 3

func (d *Declaration) readCodings(lines []string) {
	for _, line := range lines {
		for name := range strings.SplitSeq(line, ",") {
			switch lower(strings.Trim(name, " \t")) {
			case "", "identity":
				continue
			case "gzip", "x-gzip":
				d.codings = append(d.codings, gzipped)
			case "deflate":
				d.codings = append(d.codings, deflated)
			case "zstd":
				d.codings = append(d.codings, zstandard)
			default:
				d.Coding = CodingUnknown
				return
			}
			d.Coding = CodingKnown
		}
	}
	if len(d.codings) > mostCodings {
		d.Coding = CodingUnknown
	}
}
