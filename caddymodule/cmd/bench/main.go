// Command bench measures what verification costs: requests through a gateway
// that verifies them against the same requests through its bare reverse_proxy.
//
// One gateway process serves all variants, each on a port of its own. In every
// round each variant has one turn, in an order that is drawn anew, so that
// whatever else the machine does, and whatever one variant leaves behind, affects
// them alike. What is compared are ratios within a round; what is printed are the
// medians over the rounds, with the quartiles, since a figure without its spread
// says little. The bare proxy runs twice: how far it is from itself is what a
// difference has to exceed.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How many clients send at once, each over one connection.
const (
	connections       = 64
	uploadConnections = 16
)

// options are what the command line says.
type options struct {
	gateway  string
	rounds   int
	duration time.Duration
	bodies   string // only those whose name has these words
	variants string // and the bare proxy, which all are compared with
}

func main() {
	var o options
	flag.StringVar(&o.gateway, "gateway", "./caddy", "the gateway's binary")
	flag.IntVar(&o.rounds, "rounds", 15, "rounds, in each of which every variant has a turn")
	flag.DurationVar(&o.duration, "duration", 200*time.Millisecond, "how long a turn takes")
	flag.StringVar(&o.bodies, "only", "", "measure only bodies whose name has these words, such as '4 KB' or 'upload'")
	flag.StringVar(&o.variants, "variant", "", "measure only variants whose name has this in it, and what they are compared with")
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
	auth, err := startAuth()
	if err != nil {
		return err
	}
	defer auth.Close()
	s := starter{o.gateway, backend.Addr().String(), auth.Addr().String()}
	g, err := s.start()
	if err != nil {
		return err
	}
	defer g.stop()

	fmt.Printf("%s\n\n", commandLine())
	fmt.Printf("%d connections (uploads: %d), %d rounds of %v. CPU (user and system) is the gateway's; medians, with the\n"+
		"quartiles in parentheses. Ratios are taken within each round. Peaks of memory are of a gateway that serves nothing else.\n"+
		"same headers: those of a verified request, set by request_header. buffered: the proxy's lines in docs/performance.md.\n\n",
		connections, uploadConnections, o.rounds, o.duration)
	printHead()
	for _, b := range append(messages(), upload()) {
		if !strings.Contains(" "+b.name, " "+o.bodies) { // 4 KB is not 64 KB
			continue
		}
		if err := s.measure(g, b, chosen(b.variants, o.variants), o); err != nil {
			return err
		}
	}
	return nil
}

// commandLine is how to get the same table again.
func commandLine() string {
	words := slices.Clone(os.Args)
	for i, word := range words {
		if strings.Contains(word, " ") {
			words[i] = strconv.Quote(word)
		}
	}
	return strings.Join(words, " ")
}

// chosen returns the variants whose name has that text in it, and what they are
// compared with.
func chosen(all []*variant, text string) []*variant {
	var some []*variant
	wanted := func(v *variant) bool { return v == bare || strings.Contains(v.name, text) }
	for _, v := range all {
		keep := wanted(v)
		for _, other := range all {
			keep = keep || other.peer == v && wanted(other)
		}
		if keep {
			some = append(some, v)
		}
	}
	return some
}
