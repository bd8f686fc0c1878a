package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// measure prints one body's rows.
func (s starter) measure(g *gateway, b body, o options) error {
	all := make([]*clients, len(b.variants))
	for i, v := range b.variants {
		c, err := g.dial(v, b)
		if err != nil {
			return err
		}
		defer c.close()
		all[i] = c
	}
	turns := make(map[*variant][]turn)
	draw := rand.New(rand.NewPCG(1, 2))          // the same order in every run
	for round := -1; round < o.rounds; round++ { // the first warms up
		for _, i := range draw.Perm(len(b.variants)) {
			load := all[i].load
			if round < 0 {
				load = all[i].warm
			}
			t, err := load(o.duration)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", b.name, b.variants[i].name, err)
			}
			if v := b.variants[i]; round >= 0 {
				turns[v] = append(turns[v], t)
			}
		}
	}
	for _, v := range b.variants {
		memory := ""
		if b.large {
			peak, err := s.memory(v, b, o)
			if err != nil {
				return err
			}
			memory = fmt.Sprintf("%.0f", peak)
		}
		printRow(b, v, turns, memory)
	}
	return nil
}

// memory returns the peak memory of a gateway that serves nothing else.
func (s starter) memory(v *variant, b body, o options) (float64, error) {
	g, err := s.start()
	if err != nil {
		return 0, err
	}
	defer g.stop()
	c, err := g.dial(v, b)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if _, err := c.load(o.duration); err != nil {
		return 0, err
	}
	return g.peak()
}

// row is a line of the table: Markdown that is readable in a terminal, too.
const row = "| %-23s | %-26s | %8s | %-18s | %-18s | %8s | %-18s | %7s | %7s | %7s |\n"

func printHead() {
	fmt.Printf(row, "body", "variant", "CPU µs", "× bare", "× same headers", "added µs", "requests/s × bare", "p50 ms", "p99 ms", "peak MB")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
}

func printRow(b body, v *variant, turns map[*variant][]turn, memory string) {
	cpu := func(t turn) float64 { return t.cpu }
	median := func(format string, value func(t, bare turn) float64) string {
		sorted := pairs(turns[v], turns[bare], value)
		return fmt.Sprintf(format, sorted[len(sorted)/2])
	}
	peer, added := "", ""
	if v.peer != nil {
		peer = ratio(turns[v], turns[v.peer], cpu)
		more := pairs(turns[v], turns[v.peer], func(t, peer turn) float64 { return t.cpu - peer.cpu })
		added = fmt.Sprintf("%.1f", more[len(more)/2])
	}
	fmt.Printf(row, b.name, v.name, median("%.1f", func(t, _ turn) float64 { return t.cpu }), ratio(turns[v], turns[bare], cpu), peer,
		added,
		ratio(turns[v], turns[bare], func(t turn) float64 { return t.rate }),
		median("%.2f", func(t, _ turn) float64 { return t.p50 }), median("%.2f", func(t, _ turn) float64 { return t.p99 }), memory)
}

// pairs returns a value for each round of two variants, sorted.
func pairs(turns, of []turn, value func(t, of turn) float64) []float64 {
	values := make([]float64, len(turns))
	for i := range turns {
		values[i] = value(turns[i], of[i])
	}
	slices.Sort(values)
	return values
}

// ratio returns the median and the quartiles of the rounds' ratios.
func ratio(turns, of []turn, value func(turn) float64) string {
	sorted := pairs(turns, of, func(t, of turn) float64 { return value(t) / value(of) })
	n := len(sorted)
	return fmt.Sprintf("%.2f (%.2f–%.2f)", sorted[n/2], sorted[n/4], sorted[n-1-n/4])
}
