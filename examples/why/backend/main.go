// Command backend is chat.php as a Go server would have it. It has an event stream, too.
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

func main() {
	panic(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var claim struct {
			UserID string `json:"user_id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&claim)
		stream := r.Header.Get("Accept") == "text/event-stream"
		if stream {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		fmt.Fprintf(w, "header: %s, body: %s\n", cmp.Or(r.Header.Get("X-Verified-User"), "nobody"), cmp.Or(claim.UserID, "nobody"))
		if stream {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})))
}
