package names

// Work is how much the searches through one body may still cost. A text that is
// made for it has many readings everywhere, more so in what may be headers, each
// of which is read in all the ways in which they are written: without a bound an
// upload of 64 MiB would keep a processor busy for minutes. Where none is left it
// cannot be told.
//
// It counts bytes that are looked at with a name or an escape under way, the
// readings of each, and what is decoded.
type Work int

const (
	// FirstWork is what every body may cost.
	FirstWork Work = 4 << 20
	// workOfByte is what each of its bytes adds. Media cost next to nothing, texts
	// a third of one, and nothing but escapes (Cyrillic in JSON, in a form, in
	// quoted-printable) two.
	workOfByte = 4
)

// Add adds what so many bytes of the body may cost.
func (w *Work) Add(bytes int) { *w += Work(workOfByte * bytes) }

// spend takes off what is done, and reports whether there was enough. A nil w has
// no bound.
func (w *Work) spend(n int) (enough bool) {
	if w == nil {
		return true
	}
	*w -= Work(n)
	return *w >= 0
}
