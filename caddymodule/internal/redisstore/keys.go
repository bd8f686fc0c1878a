package redisstore

// keys are the names of what the store has in Redis. All have one hash tag, so
// a cluster keeps them in one slot, on one node: a script changes a record, the
// index of ids and the version at once. A node holds millions of records.
type keys struct {
	records  string // the prefix of an id
	ids      string // a sorted set, all scores zero: ids in their order
	dialects string // a hash: how many widgets have the dialect of their own
	version  string // a random text, another one after each change that retires a record
	notes    string // the prefix of a machine's name and the note's
	probe    string // never there: what a write to it answers says whether writes work
}

func newKeys(prefix string) keys {
	return keys{
		records:  prefix + "{w}:",
		ids:      prefix + "{w}ids",
		dialects: prefix + "{w}dialects",
		version:  prefix + "{w}version",
		notes:    prefix + "{w}note:",
		probe:    prefix + "{w}probe",
	}
}

func (k *keys) record(id string) string { return k.records + id }
