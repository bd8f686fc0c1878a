package body

import (
	"net/http"
	"strings"
)

// Kind is a set of the kinds that a body is declared to be.
type Kind uint8

// The kinds of bodies. One of no kind has no claim unless a JSON object begins in it.
const (
	// KindJSON is application/json and every type that ends with +json, except the framed
	// types and application/stream+json, which is JSON lines.
	KindJSON Kind = 1 << iota
	// KindForm is application/x-www-form-urlencoded.
	KindForm
	// KindMultipart is multipart/form-data.
	KindMultipart
	// KindNearForm has the word urlencoded in its type but is not plainly a KindForm. Some
	// parsers take it for one.
	KindNearForm
	// KindNearMultipart has the word multipart in its type but is not plainly a
	// KindMultipart. Some parsers take it for one.
	KindNearMultipart
	// KindFramed is gRPC, gRPC-Web and Connect's streams: messages, each behind a header of
	// five bytes.
	KindFramed
)

// Has reports whether any of these kinds is in the set.
func (k Kind) Has(kinds Kind) bool { return k&kinds != 0 }

// Declaration is what a request's headers say about its body.
type Declaration struct {
	// Kinds are all that are declared, by any Content-Type line or member of a list.
	Kinds Kind
	// Boundary is the multipart boundary if all parsers find the same one.
	Boundary string
	// BoundaryAmbiguous says that parsers may find different boundaries, or none.
	BoundaryAmbiguous bool
	// SeveralBoundaries says that there may be more than one.
	SeveralBoundaries bool
	// Charset is the worst one that is declared.
	Charset Charset
	// Coding is what the Content-Encoding is.
	Coding Coding
	// Media says that only image, audio, video or font types are declared.
	Media bool
	// Missing says that there is no type, or an empty one.
	Missing bool
	// Several says that there is more than one Content-Type line or type.
	Several bool
	// Plain says that there is one type, and that all parsers read it and its parameters
	// in the same way.
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

// Upload reports whether the body must be read whole, whatever its length, because it is a
// multipart form or some parsers take it for a form.
func (d *Declaration) Upload() bool {
	return d.Kinds.Has(KindMultipart | KindNearForm | KindNearMultipart)
}

// Unsupported reports whether the Content-Encoding of a body that begins like this hides an
// object, or may hide one. Media is not decoded.
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
	text := strings.Join(lines, ", ") // as many servers join them
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

// formKind returns form if all parsers take the type for one, else near.
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

// Coding says whether a Content-Encoding can be decoded.
type Coding uint8

// The codings.
const (
	// CodingNone is no Content-Encoding, or identity.
	CodingNone Coding = iota
	// CodingKnown is gzip, deflate, zstd, or a few of them nested.
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

// maxCodings bounds the cost of decoding nested codings. No client sends two.
const maxCodings = 3

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
	if len(d.codings) > maxCodings {
		d.Coding = CodingUnknown
	}
}
