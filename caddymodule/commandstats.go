package caddymodule

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// shownCounts are a widget's requests as the admin API counts them.
type shownCounts struct {
	ID       string
	Requests uint64
	Rate     float64 `json:"verified_rate"`
	Outcomes map[verifier.Outcome]uint64
}

// shownStats is the admin API's answer about all widgets.
type shownStats struct {
	Since                time.Time
	Widgets              []shownCounts
	Rest, Unknown, Total *shownCounts
}

func statsCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Counts requests by widget and outcome",
		Long: `
Shows how many requests each widget has had since the gateway counts, how many
of a hundred were verified, and what was found. Beside the widgets stand
(unknown), which named none that exists, (rest), the widgets that are not
counted one by one, and (total).`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), answerLimit)
			defer cancel()
			var stats shownStats
			r := &apiRequest{method: http.MethodGet, path: adminPath + "stats"}
			raw, _, err := c.ask(ctx, r, &stats)
			if err == nil && stats.Total == nil {
				err = c.strange(r)
			}
			if err != nil {
				return err
			}
			if admin.json {
				return writeJSON(cmd.OutOrStdout(), raw)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "since %s\n", localTime(stats.Since)); err != nil {
				return err
			}
			return writeTable(cmd.OutOrStdout(), stats.rows())
		},
	}
	admin.add(cmd)
	return cmd
}

// rows has a column for every outcome that was found at all.
func (s *shownStats) rows() [][]string {
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
	found := map[verifier.Outcome]bool{}
	for _, counts := range all {
		for outcome, n := range counts.Outcomes {
			if n > 0 {
				found[outcome] = true
			}
		}
	}
	var outcomes []verifier.Outcome
	for _, outcome := range verifier.Outcomes {
		if found[outcome] {
			outcomes = append(outcomes, outcome)
			delete(found, outcome)
		}
	}
	outcomes = append(outcomes, slices.Sorted(maps.Keys(found))...) // of a newer gateway

	head := []string{"WIDGET", "REQUESTS", "VERIFIED-RATE"}
	for _, outcome := range outcomes {
		head = append(head, plain(string(outcome)))
	}
	rows := [][]string{head}
	for _, counts := range all {
		rate := "-"
		if counts.Requests > 0 {
			rate = strconv.FormatFloat(100*counts.Rate, 'f', 1, 64) + "%"
		}
		row := []string{plain(counts.ID), strconv.FormatUint(counts.Requests, 10), rate}
		for _, outcome := range outcomes {
			row = append(row, strconv.FormatUint(counts.Outcomes[outcome], 10))
		}
		rows = append(rows, row)
	}
	return rows
}
