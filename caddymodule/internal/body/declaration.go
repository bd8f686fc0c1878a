package body

import (
	"net/http"
	"strings"
)

// Kind is a set of what a body is declared to be.
type Kind uint8

// The kinds of bodies. One of no kind is nobody's business unless an object
// begins in it.
const (
	// KindJSON is application/json and every type that ends with +json, but for
	// the framed types and application/stream+json, which is lines.
	KindJSON Kind = 1 << iota
	// KindForm is application/x-www-form-urlencoded.
	KindForm
	// KindMultipart is multipart/form-data.
	KindMultipart
	// KindNearForm has the word urlencoded in its type, and is not plainly a
	// KindForm: some parsers take it for one.
	KindNearForm
	// KindNearMultipart has the word multipart in its type, and is not plainly a
	// KindMultipart: some parsers take it for one.
	KindNearMultipart
	// KindFramed is gRPC, gRPC-Web and Connect's streams: messages behind a header
	// of five bytes that may look like the beginning of anything.
	KindFramed
)

// Has reports whether one of these kinds is in the set.
func (k Kind) Has(kinds Kind) bool { return k&kinds != 0 }

// Declaration is what a request says of its body.
type Declaration struct {
	// Kinds are all that are declared: each Content-Type line and each member of
	// a list counts.
	Kinds Kind
	// Boundary is the multipart boundary, where every parser finds this one.
	Boundary string
	// BoundaryAmbiguous says that there is something of a boundary, and that it
	// cannot be told which one: parsers differ, or none may take it.
	BoundaryAmbiguous bool
	// SeveralBoundaries says that it is because there may be more than one.
	SeveralBoundaries bool
	// Charset is the worst that is named.
	Charset Charset
	// Coding says what is known of the Content-Encoding.
	Coding Coding
	// Media says that the body is an image, audio, video or font and nothing else.
	Media bool
	// Missing says that there is no type, or an empty one.
	Missing bool
	// Several says that there is more than one Content-Type line or type.
	Several bool
	// Plain says that there is one type, and that all parsers read it and its
	// parameters alike.
	Plain bool

	codings []coding // in the order in which they were applied
}

// Declare reads Content-Type and Content-Encoding.
func Declare(header http.Header) Declaration {
	var d Declaration
	d.readTypes(header["Content-Type"])
	d.readCodings(header["Content-Encoding"])
	return d
}

// Upload reports whether the body must be read whole, however long, because it
// is a multipart form or something that a parser takes for a form.
func (d *Declaration) Upload() bool {
	return d.Kinds.Has(KindMultipart | KindNearForm | KindNearMultipart)
}

// Unsupported reports whether the Content-Encoding of a body that begins so hides
// an object, or may hide one. Media is not looked into.
func (d *Declaration) Unsupported(begins Beginning) bool {
	switch {
	case d.Coding == CodingNone:
		return false
	case begins == Object:
		return true
	}
	return !d.Media && (d.Coding == CodingUnknown || begins == Unclear)
}

func (d *Declaration) readTypes(lines []string) {
	if len(lines) == 1 && lines[0] == "application/json" {
		d.Kinds, d.Plain = KindJSON, true
		return
	}
	text := strings.Join(lines, ", ") // as many servers do
	folded := lower(text)
	if strings.Trim(folded, ", \t") == "" {
		d.Missing = true
		return
	}
	d.Charset = charsetOf(folded)
	types, media := 0, 0
	for member := range strings.SplitSeq(folded, ",") {
		essence := essenceOf(member)
		if strings.Contains(member, "multipart") {
			d.Kinds |= formKind(member, essence == "multipart/form-data", KindMultipart, KindNearMultipart)
		}
		if strings.Contains(member, "urlencoded") {
			d.Kinds |= formKind(member, essence == "application/x-www-form-urlencoded", KindForm, KindNearForm)
		}
		switch {
		case isFramed(essence):
			d.Kinds |= KindFramed
		case isJSON(essence):
			d.Kinds |= KindJSON
		}
		if strings.Contains(essence, "/") { // there is none in "opus" of video/webm;codecs=vp8,opus
			types++
			if isMedia(essence) {
				media++
			}
		}
	}
	d.Several = len(lines) > 1 || types > 1
	d.Plain = !d.Several && plain(text, folded)
	d.Media = types > 0 && media == types && d.Kinds == 0
	if d.Kinds.Has(KindMultipart | KindNearMultipart) {
		d.Boundary, d.BoundaryAmbiguous = boundaryOf(text, folded)
		d.SeveralBoundaries = d.BoundaryAmbiguous && severalBoundaries(folded)
	}
}

// formKind says whether a type that has the word is the form or only near it.
func formKind(member string, named bool, form, near Kind) Kind {
	if named && plain(member, member) {
		return form
	}
	return near
}

func isJSON(essence string) bool {
	return essence == "application/json" || strings.HasSuffix(essence, "+json") && essence != "application/stream+json"
}

func isFramed(essence string) bool {
	return strings.HasPrefix(essence, "application/grpc") || strings.HasPrefix(essence, "application/connect+")
}

func isMedia(essence string) bool {
	kind, _, _ := strings.Cut(essence, "/")
	return kind == "image" || kind == "audio" || kind == "video" || kind == "font"
}

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
