package traffic

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxUnknown is how many ids are kept that requests name and that no widget has.
const maxUnknown = 10

// UnknownWidget is an id that requests name and that no widget has.
type UnknownWidget struct {
	ID       string // as it may be shown
	Requests uint64
	Last     time.Time
}

// unknownWidgets are the ids that were named last, the last first.
type unknownWidgets struct {
	mu   sync.Mutex
	list []UnknownWidget
	look *rate.Limiter // for similar ids, of requests
}

// AddUnknown counts a request that names an id which no widget has.
func (t *Traffic) AddUnknown(id string) {
	u, now := &t.unknownIDs, t.clock()
	u.mu.Lock()
	defer u.mu.Unlock()
	n := UnknownWidget{ID: id}
	if at := slices.IndexFunc(u.list, func(w UnknownWidget) bool { return w.ID == id }); at >= 0 {
		n = u.list[at]
		u.list = slices.Delete(u.list, at, at+1)
	} else if len(u.list) == maxUnknown {
		u.list = u.list[:maxUnknown-1]
	}
	n.Requests, n.Last = n.Requests+1, now.UTC()
	u.list = slices.Insert(u.list, 0, n)
}

// UnknownWidgets returns up to 10 ids that requests named and that no widget had, the one
// named last first.
func (t *Traffic) UnknownWidgets() []UnknownWidget {
	t.unknownIDs.mu.Lock()
	defer t.unknownIDs.mu.Unlock()
	return slices.Clone(t.unknownIDs.list)
}

// MayLookForNearest reports whether a request may ask the store now for ids that resemble
// the one that it names.
func (t *Traffic) MayLookForNearest() bool { return t.unknownIDs.look.AllowN(t.clock(), 1) }

// MaySearchSecrets reports whether a request of this series may be checked now against the
// secrets of other widgets.
func (t *Traffic) MaySearchSecrets(s *Series) bool {
	return s != nil && s.refusals.search.AllowN(t.clock(), 1)
}
