package claimjson

// Kind is what a value is; None where there is none.
type Kind uint8

// The kinds of JSON values.
const (
	None Kind = iota
	String
	Number
	Object
	Array
	True
	False
	Null
)

// Value is what was found of one target. Kind, Start, End and Escaped are of
// the first occurrence with exactly the pointer's names; Duplicate and Variant
// speak of all. Kind None with Variant: it stands, if at all, only where some
// readers would find it.
type Value struct {
	Kind       Kind
	Start, End int  // the value's bytes in the body, quotes included
	Escaped    bool // a string that holds a backslash
	Duplicate  bool // its name, or one on its way, is a duplicate within one object, either exactly or in other letter cases
	Variant    bool // its name, or one on its way, stands in another letter case (Unicode simple folding), or an array or a text is on its way in which it stands
	Way        bool // such an array or text is
}

// Found is what a scan found: Values[i] belongs to the i-th target. Cuts are
// in order and apart; cut out, they leave valid JSON without any occurrence of
// the targets to be cut. Reused between scans, it saves their allocations.
type Found struct {
	Values []Value
	Cuts   []Span
	More   bool // there is more to cut than Cuts may hold
}

// maxCuts bounds the cuts, whatever a body holds. An honest one has no more than
// there are targets, but for arrays, which are cut as a whole then.
const maxCuts = 256

// full reports whether Cuts may not hold another one, and takes note of that.
func (f *Found) full() bool {
	f.More = f.More || len(f.Cuts) == maxCuts
	return f.More
}

func (f *Found) reset(n int) {
	if cap(f.Values) < n {
		f.Values = make([]Value, n)
	}
	f.Values = f.Values[:n]
	clear(f.Values)
	f.Cuts, f.More = f.Cuts[:0], false
}

func kindOf(first byte) Kind {
	switch first {
	case '"':
		return String
	case '{':
		return Object
	case '[':
		return Array
	case 't':
		return True
	case 'f':
		return False
	case 'n':
		return Null
	}
	return Number
}
