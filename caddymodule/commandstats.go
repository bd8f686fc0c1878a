package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// shownCounts are a widget's requests as the admin API counts them.
type shownCounts struct {
	ID                string
	Requests          uint64
	Rate              float64 `json:"verified_rate"`
	Outcomes          map[string]uint64
	Minute, Hour, Day *shownWindow // nil of an older gateway
}

// shownWindow is the requests of a span of time.
type shownWindow struct {
	Requests, Verified uint64
	Rate               float64 `json:"verified_rate"`
	Reasons            map[string]uint64
}

// shownStats is the admin API's answer about all widgets.
type shownStats struct {
	Since                time.Time
	Widgets              []shownCounts
	Rest, Unknown, Total *shownCounts
}

// statsFlags say what is to be shown.
type statsFlags struct {
	top  int
	last string
}

func (f *statsFlags) check() error {
	switch {
	case f.top < 0 || f.top > traffic.MaxShown:
		return fmt.Errorf("--top is a number from 1 to %d", traffic.MaxShown)
	case f.last != "" && !slices.Contains(windowNames, f.last):
		return errors.New("--last is one of " + strings.Join(windowNames, ", "))
	}
	return nil
}

var windowNames = []string{"minute", "hour", "day"}

func statsCommand() *cobra.Command {
	var admin adminFlags
	var f statsFlags
	cmd := &cobra.Command{
		Use:   "stats [--last minute|hour|day] [--top <n>]",
		Short: "Counts requests by widget and what was found",
		Long: `
Shows how many requests each widget has had since the gateway counts, how many
of a hundred were verified, then and in the last minute, hour and day, and what
was found. With --last it shows that time alone, and why requests were not
verified. Beside the widgets stand (unknown), which named none that exists,
(rest), the widgets that are not listed, and (total).`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			var stats shownStats
			r := &apiRequest{method: http.MethodGet, path: adminPath + "stats"}
			if f.top > 0 {
				r.path += "?top=" + strconv.Itoa(f.top)
			}
			raw, err := admin.ask(cmd, r, &stats, func() bool {
				return stats.Total != nil && (f.last == "" || stats.Total.window(f.last) != nil)
			})
			if err != nil {
				return err
			}
			if admin.json {
				return writeJSON(cmd.OutOrStdout(), raw)
			}
			if f.last != "" {
				return writeTable(cmd.OutOrStdout(), stats.lately(f.last))
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "since %s\n", localTime(stats.Since)); err != nil {
				return err
			}
			return writeTable(cmd.OutOrStdout(), stats.rows())
		},
	}
	admin.add(cmd)
	cmd.Flags().StringVar(&f.last, "last", "", "Shows the last minute, hour or day alone, and the reasons")
	cmd.Flags().IntVar(&f.top, "top", 0, "Shows so many of the busiest widgets alone, busiest first")
	return cmd
}

func (s *shownCounts) window(name string) *shownWindow {
	return map[string]*shownWindow{"minute": s.Minute, "hour": s.Hour, "day": s.Day}[name]
}

// all are the widgets and what stands beside them.
func (s *shownStats) all() []shownCounts {
	all := slices.Clone(s.Widgets)
	for _, extra := range []struct {
		name   string
		counts *shownCounts
	}{{"(unknown)", s.Unknown}, {"(rest)", s.Rest}, {"(total)", s.Total}} {
		if extra.counts != nil {
			counts := *extra.counts
			counts.ID = extra.name // no widget's id begins so
			all = append(all, counts)
		}
	}
	return all
}

// found returns what any of the counts has, in the order of those that are
// known here; others, of a newer gateway, come last.
func found(all []shownCounts, of func(*shownCounts) map[string]uint64, known []string) (names []string) {
	there := map[string]bool{}
	for i := range all {
		for name, n := range of(&all[i]) {
			if n > 0 {
				there[name] = true
			}
		}
	}
	for _, name := range known {
		if there[name] {
			names = append(names, name)
			delete(there, name)
		}
	}
	return append(names, slices.Sorted(maps.Keys(there))...)
}

func percent(rate float64, requests uint64) string {
	if requests == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*rate, 'f', 1, 64) + "%"
}

// rows has a column for every outcome that was found at all.
func (s *shownStats) rows() [][]string {
	all := s.all()
	outcomes := found(all, func(c *shownCounts) map[string]uint64 { return c.Outcomes }, texts(verifier.Outcomes))
	head := []string{"WIDGET", "REQUESTS", "VERIFIED-RATE"}
	windows := s.Total.Day != nil
	if windows {
		head = append(head, "MINUTE", "HOUR", "DAY")
	}
	rows := [][]string{append(head, plainAll(outcomes)...)}
	for i := range all {
		counts := &all[i]
		row := []string{plain(counts.ID), strconv.FormatUint(counts.Requests, 10), percent(counts.Rate, counts.Requests)}
		for _, name := range windowNames {
			if w := counts.window(name); w != nil && windows {
				row = append(row, percent(w.Rate, w.Requests))
			} else if windows {
				row = append(row, "-")
			}
		}
		for _, outcome := range outcomes {
			row = append(row, strconv.FormatUint(counts.Outcomes[outcome], 10))
		}
		rows = append(rows, row)
	}
	return rows
}

// lately has a column for every reason that was found in a window.
func (s *shownStats) lately(name string) [][]string {
	all := s.all()
	of := func(c *shownCounts) map[string]uint64 {
		if w := c.window(name); w != nil {
			return w.Reasons
		}
		return nil
	}
	reasons := found(all, of, append([]string{string(verifier.OutcomeDisabled)}, texts(verifier.Reasons)...))
	rows := [][]string{append([]string{"WIDGET", "REQUESTS", "VERIFIED", "VERIFIED-RATE"}, plainAll(reasons)...)}
	for i := range all {
		w := all[i].window(name)
		if w == nil {
			w = new(shownWindow)
		}
		row := []string{plain(all[i].ID), strconv.FormatUint(w.Requests, 10), strconv.FormatUint(w.Verified, 10), percent(w.Rate, w.Requests)}
		for _, reason := range reasons {
			row = append(row, strconv.FormatUint(w.Reasons[reason], 10))
		}
		rows = append(rows, row)
	}
	return rows
}

// texts returns names as texts.
func texts[T ~string](names []T) (all []string) {
	for _, name := range names {
		all = append(all, string(name))
	}
	return all
}

func plainAll(names []string) (all []string) {
	for _, name := range names {
		all = append(all, plain(name))
	}
	return all
}
