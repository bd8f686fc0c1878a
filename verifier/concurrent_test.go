package verifier

import (
	"fmt"
	"sync"
	"testing"
)

// TestConcurrent: one Verifier serves many goroutines, each with a Reading of its
// own, and none is told another's user.
func TestConcurrent(t *testing.T) {
	dialect, err := LookupDialect("bookbag")
	if err != nil {
		t.Fatal(err)
	}
	v, key := compiled(t, dialect), NewKey(WeakSecret("concurrent-secret"))
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			var r Reading
			for i := range 200 {
				user := fmt.Sprintf("user-%d-%d", n, i)
				hash, err := v.Sign(key, map[Field]string{UserID: user})
				if err != nil {
					t.Error(err)
				}
				r.Reset()
				v.JSON(fmt.Appendf(nil, `{"user_id":%q,"user_hash":%q}`, user, hash), &r)
				if who, err := v.Verify(&r, key); err != nil || who.User() != user {
					t.Errorf("%s: %q, %v", user, who.User(), err)
				}
			}
		})
	}
	group.Wait()
}
