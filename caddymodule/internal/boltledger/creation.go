package boltledger

import (
	"errors"
	"os"

	"go.etcd.io/bbolt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
)

// create creates an empty ledger, whole and in one step: a file that is empty or
// half a ledger is always a damaged one.
func create(path string) error {
	return durable.Create(path, func(draft *os.File) error {
		db, err := bbolt.Open(draft.Name(), 0o600, &bbolt.Options{Timeout: lockTimeout, NoStatistics: true})
		if err != nil {
			return err
		}
		return errors.Join(db.Update(createTables), db.Close())
	})
}
