//go:build !race

package redisstore

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// TestCacheAllocates: what is remembered takes no more memory than it may, and not much
// less: what is counted too dearly is forgotten too soon.
func TestCacheAllocates(t *testing.T) {
	for _, secrets := range []int{1, 2, 10} {
		t.Run(fmt.Sprint(secrets, " secrets"), func(t *testing.T) {
			const size = 8 << 20
			used := func() uint64 {
				for range 3 { // a cache that is gone is closed and freed only after that
					runtime.GC()
					time.Sleep(10 * time.Millisecond)
				}
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			before := used()
			n := newRecordCache(size)
			defer n.Close()
			for i := range uint64(size / recordCost) {
				id := fmt.Sprintf("widget-%07d", i)
				r := widget(id, "bookbag", fmt.Sprintf("%026d", i))
				for j := 1; j < secrets; j++ {
					next := r.Secrets[0]
					next.Version, next.Until = fmt.Sprintf("%013d%013d", i, j), time.Now()
					r.Secrets = append(r.Secrets, next)
				}
				text, err := encode(r)
				if err != nil {
					t.Fatal(err)
				}
				if r, err = decode(id, text); err != nil {
					t.Fatal(err)
				}
				n.put(i<<32|i, &entry{id: id, record: r}, len(text))
			}
			took := float64(used()-before) / size
			runtime.KeepAlive(n)
			t.Logf("%.2f of the size", took)
			if took > 1 || took < 0.7 {
				t.Errorf("it takes %.2f of the size it is given", took)
			}
		})
	}
}
