package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

var windowNames = []string{"minute", "hour", "day"}

func statsCommand() *cobra.Command {
	var admin adminFlags
	var top int
	var last string
	cmd := &cobra.Command{
		Use: "stats [--last minute|hour|day] [--top <n>]",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errors.New("stats takes no arguments, only flags: 'caddy chat-identity readiness <id>' has the counts of one widget. " + replaceSecret)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case top < 0 || top > traffic.MaxShown:
				return fmt.Errorf("--top must be from 1 to %d", traffic.MaxShown)
			case last != "" && !slices.Contains(windowNames, last):
				return errors.New("--last must be one of " + strings.Join(windowNames, ", "))
			}
			var stats traffic.Stats
			r := &apiRequest{method: http.MethodGet, path: adminapi.Path + "stats"}
			if top > 0 {
				r.path += "?top=" + strconv.Itoa(top)
			}
			return admin.print(cmd, r, &stats, func() bool { return !stats.Since.IsZero() }, func(w io.Writer) error {
				if last != "" {
					return writeTable(w, windowRows(&stats, last))
				}
				var text strings.Builder
				fmt.Fprintf(&text, "since %s", localTime(stats.Since))
				if stats.OpenStreams > 0 {
					text.WriteString("; open: " + adminapi.Count(uint64(stats.OpenStreams), "stream"))
				}
				text.WriteString("\n")
				_ = writeTable(&text, statsRows(&stats)) // a builder never fails
				for _, counts := range stats.Widgets {
					if counts.Grace != "" {
						fmt.Fprintf(&text, "%s: %s\n", plain(counts.ID), plain(counts.Grace))
					}
				}
				_, err := io.WriteString(w, text.String())
				return err
			})
		},
	}
	admin.add(cmd)
	cmd.Flags().StringVar(&last, "last", "", "Show only the last minute, hour or day, with the reasons")
	completeFlag(cmd, "last", windowNames...)
	cmd.Flags().IntVar(&top, "top", 0, "Show only this many widgets, the busiest first")
	return cmd
}

func window(c *traffic.Counts, name string) *traffic.Window {
	return map[string]*traffic.Window{"minute": &c.Minute, "hour": &c.Hour, "day": &c.Day}[name]
}

// allCounts returns the counts of all rows.
func allCounts(s *traffic.Stats) []traffic.Counts {
	all := slices.Clone(s.Widgets)
	for _, extra := range []struct {
		name   string
		counts *traffic.Counts
	}{{"(unknown)", s.Unknown}, {"(rest)", s.Rest}, {"(total)", &s.Total}} {
		if extra.counts != nil {
			counts := *extra.counts
			counts.ID = extra.name // no widget's id begins like that
			all = append(all, counts)
		}
	}
	return all
}

// rowsOf returns a row for each of the counts. It begins with some cells, and has a column
// for every name that any of the counts has: first the known ones, in order, then those of
// a newer gateway.
func rowsOf[K ~string](all []traffic.Counts, head []string, cells func(*traffic.Counts) []string, of func(*traffic.Counts) map[K]uint64, known []K) [][]string {
	sums := map[K]uint64{}
	for i := range all {
		for name, n := range of(&all[i]) {
			sums[name] += n
		}
	}
	var names []K
	for _, name := range append(known[:len(known):len(known)], slices.Sorted(maps.Keys(sums))...) {
		if sums[name] > 0 {
			names, head = append(names, name), append(head, plain(string(name)))
			delete(sums, name)
		}
	}
	rows := [][]string{head}
	for i := range all {
		row := append([]string{plain(all[i].ID)}, cells(&all[i])...)
		for _, name := range names {
			row = append(row, strconv.FormatUint(of(&all[i])[name], 10))
		}
		rows = append(rows, row)
	}
	return rows
}

func percent(rate float64, requests uint64) string {
	if requests == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*rate, 'f', 1, 64) + "%"
}

// statsRows has a column for every outcome that occurred.
func statsRows(s *traffic.Stats) [][]string {
	return rowsOf(allCounts(s), []string{"WIDGET", "REQUESTS", "VERIFIED-RATE", "MINUTE", "HOUR", "DAY"}, func(c *traffic.Counts) []string {
		cells := []string{strconv.FormatUint(c.Requests, 10), percent(c.Rate, c.Requests)}
		for _, name := range windowNames {
			w := window(c, name)
			cells = append(cells, percent(w.Rate, w.Requests))
		}
		return cells
	}, func(c *traffic.Counts) map[judgment.Outcome]uint64 { return c.Outcomes }, judgment.Outcomes)
}

// windowRows has a column for every reason that occurred in a window, and for tokens and
// sessions if any were verified.
func windowRows(s *traffic.Stats, name string) [][]string {
	known := append([]judgment.Reason{judgment.Reason(judgment.OutcomeDisabled)}, traffic.Reasons...)
	all, head := allCounts(s), []string{"WIDGET", "REQUESTS", "VERIFIED", "VERIFIED-RATE"}
	var proofs []func(traffic.Proofs) uint64
	column := func(title string, of func(traffic.Proofs) uint64) {
		if slices.ContainsFunc(all, func(c traffic.Counts) bool { return of(window(&c, name).Proofs) > 0 }) {
			head, proofs = append(head, title), append(proofs, of)
		}
	}
	column("BY-TOKEN", func(p traffic.Proofs) uint64 { return p.Token })
	column("BY-SESSION", func(p traffic.Proofs) uint64 { return p.Session })
	return rowsOf(all, head, func(c *traffic.Counts) []string {
		w := window(c, name)
		cells := []string{strconv.FormatUint(w.Requests, 10), strconv.FormatUint(w.Verified, 10), percent(w.Rate, w.Requests)}
		for _, of := range proofs {
			cells = append(cells, strconv.FormatUint(of(w.Proofs), 10))
		}
		return cells
	}, func(c *traffic.Counts) map[judgment.Reason]uint64 { return window(c, name).Reasons }, known)
}
