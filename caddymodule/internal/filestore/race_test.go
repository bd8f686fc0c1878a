//go:build race

package filestore

// raceEnabled: the race detector allocates on its own.
const raceEnabled = true
