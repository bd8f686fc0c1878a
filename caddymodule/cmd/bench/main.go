// Command bench measures what verification costs: requests through a gateway
// that verifies them against the same requests through its bare reverse_proxy.
//
// One gateway process serves all variants, each on a port of its own. They are
// measured in turn, round by round, so that whatever else the machine does
// befalls them alike. What is compared are the medians of the rounds' ratios.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// connections is how many clients send at once, each over one connection.
const connections = 64

func main() {
	gatewayPath := flag.String("gateway", "./caddy", "the gateway's binary")
	rounds := flag.Int("rounds", 15, "rounds of each body and variant")
	duration := flag.Duration("duration", 600*time.Millisecond, "how long a round of one variant takes")
	only := flag.String("only", "", "measure only bodies whose name has this in it")
	flag.Parse()
	if err := run(*gatewayPath, *rounds, *duration, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(path string, rounds int, duration time.Duration, only string) error {
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
	g, err := startGateway(path, backend.Addr().String(), auth.Addr().String())
	if err != nil {
		return err
	}
	defer g.stop()
	fmt.Printf("%d connections, %d rounds of %v; CPU and memory are the gateway's, medians\n\n", connections, rounds, duration)
	fmt.Println("| body | variant | requests/s | × | CPU µs/request | × | added µs | p50 ms | p99 ms | peak MB |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for _, b := range bodies() {
		if !strings.Contains(b.name, only) {
			continue
		}
		if err := measure(g, b, rounds, duration); err != nil {
			return err
		}
	}
	return nil
}

// measure prints one body's rows.
func measure(g *gateway, b body, rounds int, duration time.Duration) error {
	results := make([][]result, len(variants))
	for round := -1; round < rounds; round++ { // the first warms up
		for n := range variants {
			// Each has each place in turn: what one leaves behind befalls the next.
			i := (n + round + 1) % len(variants)
			r, err := g.load(variants[i], b, duration)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", b.name, variants[i].name, err)
			}
			if round >= 0 {
				results[i] = append(results[i], r)
			}
		}
	}
	bare := results[0]
	for i, v := range variants {
		of := func(f func(r, bare result) float64) float64 {
			values := make([]float64, rounds)
			for n := range values {
				values[n] = f(results[i][n], bare[n])
			}
			return median(values)
		}
		fmt.Printf("| %s | %s | %.0f | %.2f | %.1f | %.2f | %.1f | %.2f | %.2f | %.0f |\n", b.name, v.name,
			of(func(r, _ result) float64 { return r.rate }),
			of(func(r, bare result) float64 { return r.rate / bare.rate }),
			of(func(r, _ result) float64 { return r.cpu }),
			of(func(r, bare result) float64 { return r.cpu / bare.cpu }),
			of(func(r, bare result) float64 { return r.cpu - bare.cpu }),
			of(func(r, _ result) float64 { return r.p50 }),
			of(func(r, _ result) float64 { return r.p99 }),
			of(func(r, _ result) float64 { return r.peak }))
	}
	return nil
}
