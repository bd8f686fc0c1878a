package admin

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// maxMoved bounds the body of an import, in bytes.
const maxMoved = 64 << 20

// export answers with a page of the stored widgets, their secrets encrypted, and a
// link to the next. The signing keys stay where they are: two gateways that have the same
// could speak for each other, and one without any creates new ones.
func (c *call) export() error {
	records, err := c.Store.List(c.r.Context(), max(c.query.Get("after"), widgets.SigningKeysID), adminapi.MovePage)
	if err != nil {
		return err
	}
	if len(records) == adminapi.MovePage {
		c.Header().Set("Link", fmt.Sprintf("<%sexport?after=%s>; rel=\"next\"", adminapi.Path, url.QueryEscape(records[len(records)-1].ID)))
	}
	return c.answer(http.StatusOK, append([]*widgets.Record{}, records...))
}

// importRecords stores records of an export. Stored ones are kept as they are unless
// the call says replace=true: an old export must not bring back a retired secret by
// accident. Nor must one whose secrets cannot be decrypted take the place of widgets
// that work, so it is refused unless the call says missing_keys=true.
func (c *call) importRecords() error {
	replace, err := c.flag("replace")
	if err != nil {
		return err
	}
	anyKey, err := c.flag("missing_keys")
	if err != nil {
		return err
	}
	var records []*widgets.Record
	if err := c.readLarge(&records, maxMoved); err != nil {
		return err
	}
	if len(records) > adminapi.MovePage {
		return adminError(http.StatusBadRequest, "send at most %d records at a time", adminapi.MovePage)
	}
	byID := make(map[string]*widgets.Record, len(records))
	ids := make([]string, 0, len(records))
	for _, record := range records {
		if record == nil {
			return adminError(http.StatusBadRequest, "a record is null")
		}
		if err := record.Check(); err != nil {
			return adminError(http.StatusBadRequest, "%w", err)
		}
		if record.ID == widgets.SigningKeysID {
			return adminError(http.StatusBadRequest, "the record %s holds a gateway's signing keys, which are not imported: leave it out", record.ID)
		}
		if err := c.writable(record.ID); err != nil {
			return err
		}
		if byID[record.ID] != nil {
			return adminError(http.StatusBadRequest, "widget %s appears more than once", record.ID)
		}
		byID[record.ID] = record
		ids = append(ids, record.ID)
	}
	if missing := c.missingKeysOf(records); len(missing) > 0 && !anyKey {
		return adminError(http.StatusConflict, "nothing was imported: %s", c.describeMissing(missing, importLost))
	}
	found := make(map[string]*widgets.Record, len(ids)) // the store may retry
	err = c.Store.Update(c.r.Context(), ids, func(id string, old *widgets.Record) (*widgets.Record, error) {
		found[id] = old
		if old != nil && (!replace || reflect.DeepEqual(old, byID[id])) {
			return old, nil
		}
		return byID[id], nil
	})
	if errors.Is(err, widgets.ErrUnwritable) {
		return err
	}
	var done adminapi.Imported
	var stored []*widgets.Record
	for _, id := range ids {
		switch old, asked := found[id]; {
		case !asked: // the store failed before
			continue
		case old != nil && reflect.DeepEqual(old, byID[id]):
			done.Unchanged++
		case old != nil && !replace:
			done.Kept = append(done.Kept, id)
			continue
		default:
			done.Imported++
			c.changes = append(c.changes, change{old, byID[id]})
		}
		stored = append(stored, byID[id])
	}
	if err == nil && len(ids) > 0 { // a backup ends the loss of the widgets
		_, err = c.acceptLostWidgets("by an import")
	}
	if err != nil {
		return err
	}
	if done.MissingKeys = c.missingKeysOf(stored); len(done.MissingKeys) > 0 {
		c.Log.Error("imported widgets are unavailable: " + c.describeMissing(done.MissingKeys, RotateLost))
	}
	return c.answer(http.StatusOK, done)
}

// missingKeysOf counts the secrets that cannot be decrypted for lack of their encryption
// key, by its id.
func (g *Gateway) missingKeysOf(records []*widgets.Record) map[string]int {
	missing, ring, now := map[string]int{}, g.Ring(), time.Now()
	for _, record := range records {
		for i := range record.Secrets {
			if s := &record.Secrets[i]; s.Live(now) && !ring.Has(s.KeyID) {
				missing[s.KeyID]++
			}
		}
	}
	return missing
}

// importLost is what to do about a lost key of an export, whose widgets are not there to be rotated.
const importLost = "import the widgets without it (--missing-keys, in the API missing_keys=true) and " + RotateLost

// describeMissing says which keys are missing and what to do, also if they are lost.
func (g *Gateway) describeMissing(missing map[string]int, lost string) string {
	var texts []string
	for _, keyID := range slices.Sorted(maps.Keys(missing)) {
		texts = append(texts, fmt.Sprintf("encryption key %s is missing: %s", keyID, g.WhereKeyIs(keyID, lost)))
	}
	return strings.Join(texts, "; ")
}
