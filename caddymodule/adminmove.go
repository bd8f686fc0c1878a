package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// movePage is how many records are moved at a time.
	movePage = 1000
	// maxMoved bounds the body of an import, in bytes.
	maxMoved = 64 << 20
)

// export answers a page of the stored records, their secrets sealed, and where
// the next one is.
func (c *adminCall) export() error {
	after := c.r.URL.Query().Get("after")
	records, err := c.store.List(c.r.Context(), after, movePage)
	if err != nil {
		return err
	}
	text, err := json.Marshal(records, json.FormatNilSliceAsNull(false))
	if err != nil {
		return err
	}
	if len(records) == movePage {
		c.w.Header().Set("Link", fmt.Sprintf("<%sexport?after=%s>; rel=\"next\"", adminPath, url.QueryEscape(records[len(records)-1].ID)))
	}
	c.w.Header().Set("Content-Type", "application/json")
	_, _ = c.w.Write(append(text, '\n'))
	return nil
}

// imported says what an import has done.
type imported struct {
	Imported  int      `json:"imported"`
	Unchanged int      `json:"unchanged"`      // there already, the same
	Kept      []string `json:"kept,omitempty"` // there already, otherwise: not replaced
}

// importRecords stores records that another store has exported. What is there
// already is left, unless the call says replace=true: an old export must not
// bring a retired secret back by accident.
func (c *adminCall) importRecords() error {
	replace, err := strconv.ParseBool(c.r.URL.Query().Get("replace"))
	if err != nil && c.r.URL.Query().Has("replace") {
		return adminError(http.StatusBadRequest, "replace is true or false")
	}
	var records []*widgets.Record
	if err := c.readLarge(&records, maxMoved); err != nil {
		return err
	}
	if len(records) > movePage {
		return adminError(http.StatusBadRequest, "at most %d records at a time", movePage)
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
			return adminError(http.StatusBadRequest, "widget %s is there twice", record.ID)
		}
		byID[record.ID] = record
		ids = append(ids, record.ID)
	}
	found := make(map[string]*widgets.Record, len(ids)) // the store may try again
	err = c.store.Update(c.r.Context(), ids, func(id string, old *widgets.Record) (*widgets.Record, error) {
		found[id] = old
		if old != nil && (!replace || reflect.DeepEqual(old, byID[id])) {
			return old, nil
		}
		return byID[id], nil
	})
	if err != nil {
		return err
	}
	var done imported
	for _, id := range ids {
		switch old := found[id]; {
		case old != nil && reflect.DeepEqual(old, byID[id]):
			done.Unchanged++
		case old != nil && !replace:
			done.Kept = append(done.Kept, id)
		default:
			done.Imported++
		}
	}
	return c.answer(http.StatusOK, done)
}
