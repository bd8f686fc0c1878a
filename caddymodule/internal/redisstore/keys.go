package redisstore

// keys are the names of what the store has in Redis. All have one hash tag, so
// a cluster keeps them in one slot, on one node: a script can change a record
// and the index of ids at once, one connection hears of every change, and one
// lease covers all. A node holds millions of records.
type keys struct {
	records  string // stands before an id
	ids      string // a sorted set, all scores zero: ids in their order
	dialects string // a hash: how many widgets have the dialect of their own
	notes    string // stands before a machine's name and the note's
	probe    string // never there: what a write to it answers says whether writes work
}

func newKeys(prefix string) keys {
	return keys{
		records:  prefix + "{w}:",
		ids:      prefix + "{w}ids",
		dialects: prefix + "{w}dialects",
		notes:    prefix + "{w}note:",
		probe:    prefix + "{w}probe",
	}
}

func (k *keys) record(id string) string { return k.records + id }
