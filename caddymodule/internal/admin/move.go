package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// maxMoved bounds the body of an import, in bytes.
const maxMoved = 64 << 20

// export answers with a page of the stored records, their secrets encrypted, and a
// link to the next.
func (c *call) export() error {
	after := c.r.URL.Query().Get("after")
	records, err := c.Store.List(c.r.Context(), after, adminapi.MovePage)
	if err != nil {
		return err
	}
	text, err := json.Marshal(records, json.FormatNilSliceAsNull(false))
	if err != nil {
		return err
	}
	if len(records) == adminapi.MovePage {
		c.Header().Set("Link", fmt.Sprintf("<%sexport?after=%s>; rel=\"next\"", adminapi.Path, url.QueryEscape(records[len(records)-1].ID)))
	}
	c.Header().Set("Content-Type", "application/json")
	_, _ = c.Write(append(text, '\n'))
	return nil
}

// importRecords stores records of an export. Stored ones are kept as they are unless
// the call says replace=true: an old export must not bring back a retired secret by
// accident.
func (c *call) importRecords() error {
	replace, err := strconv.ParseBool(c.r.URL.Query().Get("replace"))
	if err != nil && c.r.URL.Query().Has("replace") {
		return adminError(http.StatusBadRequest, "replace must be true or false")
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
		if err := c.writable(record.ID); err != nil {
			return err
		}
		if byID[record.ID] != nil {
			return adminError(http.StatusBadRequest, "widget %s appears more than once", record.ID)
		}
		byID[record.ID] = record
		ids = append(ids, record.ID)
	}
	found := make(map[string]*widgets.Record, len(ids)) // the store may retry
	err = c.Store.Update(c.r.Context(), ids, func(id string, old *widgets.Record) (*widgets.Record, error) {
		found[id] = old
		if old != nil && (!replace || reflect.DeepEqual(old, byID[id])) {
			return old, nil
		}
		return byID[id], nil
	})
	if err != nil {
		return err
	}
	if len(ids) > 0 { // a backup ends the loss of the widgets
		if _, err := c.acceptLostWidgets("by an import"); err != nil {
			return err
		}
	}
	done := adminapi.Imported{MissingKeys: map[string]int{}}
	for _, id := range ids {
		switch old := found[id]; {
		case old != nil && reflect.DeepEqual(old, byID[id]):
			done.Unchanged++
		case old != nil && !replace:
			done.Kept = append(done.Kept, id)
			continue
		default:
			done.Imported++
		}
		for _, secret := range byID[id].Secrets {
			if !c.Ring().Has(secret.KeyID) {
				done.MissingKeys[secret.KeyID]++
			}
		}
	}
	for keyID, secrets := range done.MissingKeys {
		c.Log.Error("imported secrets cannot be decrypted, so their widgets are unavailable: "+c.WhereKeyIs(keyID),
			zap.String("missing_encryption_key", keyID), zap.Int("secrets", secrets))
	}
	return c.answer(http.StatusOK, done)
}
