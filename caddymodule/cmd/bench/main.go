// Command bench measures what verification costs: requests through a gateway
// that verifies them against the same requests through its bare reverse_proxy.
//
// One gateway process serves all variants, each on its own port. In every round, each
// variant has one turn, in random order, so that machine noise, and what a variant
// leaves behind, affects all of them equally. Ratios are taken within each round, and
// their medians over all rounds are printed, with the quartiles. The bare proxy runs
// as two variants: a difference means something only if it exceeds theirs.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"
)

// How many clients send concurrently, each over one connection.
const (
	connections       = 64
	uploadConnections = 16
)

// options are those of the command line.
type options struct {
	gateway  string
	rounds   int
	duration time.Duration
	bodies   string // only those whose name contains these words
}

func main() {
	var o options
	flag.StringVar(&o.gateway, "gateway", "./caddy", "the gateway's binary")
	flag.IntVar(&o.rounds, "rounds", 15, "rounds; every variant has one turn in each")
	flag.DurationVar(&o.duration, "duration", 200*time.Millisecond, "how long a turn takes")
	flag.StringVar(&o.bodies, "only", "", "measure only bodies whose name contains these words, such as '4 KB' or 'upload'")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	backend, err := startBackend()
	if err != nil {
		return err
	}
	defer backend.Close()
	auth := httptest.NewServer(http.HandlerFunc(authorize))
	defer auth.Close()
	s := starter{o.gateway, backend.Addr().String(), auth.Listener.Addr().String()}
	g, err := s.start()
	if err != nil {
		return err
	}
	defer g.stop()

	fmt.Printf("%q\n\n", os.Args)
	fmt.Printf("%d connections (uploads: %d), %d rounds of %v. CPU (user and system) is the gateway's. Medians, with\n"+
		"quartiles in parentheses. Ratios are taken within each round. Peak memory is that of a gateway that serves nothing else.\n"+
		"same headers: those of a verified request, set by request_header; added: CPU beyond theirs. buffered: the proxy's lines in docs/performance.md.\n\n",
		connections, uploadConnections, o.rounds, o.duration)
	printHead()
	for _, b := range append(messages(), upload()) {
		if !strings.Contains(" "+b.name, " "+o.bodies) { // 4 KB is not 64 KB
			continue
		}
		if err := s.measure(g, b, o); err != nil {
			return err
		}
	}
	return nil
}
