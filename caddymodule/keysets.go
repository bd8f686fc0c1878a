package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/keysets"
)

// newSets returns the key sets of the process.
func newSets() (*keysets.Sets, error) {
	return keysets.NewSets(keysets.Options{Verdicts: verdicts, Log: func(source string, err error) {
		if log := setLogger(source); err != nil {
			log.Error("the key set cannot be read: its last keys are used for as long as stale_if_error says, then its widgets are unavailable", zap.Error(err))
		} else {
			log.Info("the key set can be read again")
		}
	}, Unused: func(source, which string) {
		// A set may have keys for other purposes than signatures, which is no mistake.
		setLogger(source).Info("of the key set " + which)
	}}), nil
}

// setLogger is not the context's: a set outlives the configuration.
func setLogger(source string) *zap.Logger {
	return caddy.Log().Named("chat_identity.keysets").With(zap.String("source", source))
}

// ownSets returns the sources of the key sets that the configuration names.
func (a *App) ownSets() (sources []string) {
	for _, w := range a.own {
		if w.inline.jwks != "" {
			sources = append(sources, w.inline.jwks)
		}
	}
	return sources
}

// startSets has the configuration's key sets read until the context ends. A file is read again at
// once: an operator who reloads has changed it.
func (a *App) startSets(ctx context.Context) {
	for _, source := range a.ownSets() {
		set, err := a.sets.Open(source)
		if err != nil {
			continue // checked when it was provisioned
		}
		set.Hold(ctx)
		if !keysets.IsURL(source) {
			_ = set.Update() // which logs what is wrong
		}
		set.Start()
	}
}

// usedSets returns how the key sets are that requests need: those of the configuration, and
// those of stored widgets that were used lately.
func (a *App) usedSets() (all []keysets.State) {
	own := a.ownSets()
	for _, set := range a.sets.All() {
		if state := set.State(a.stale); set.Used() < keysets.InUse || slices.Contains(own, state.Source) {
			all = append(all, state)
		}
	}
	slices.SortFunc(all, func(a, b keysets.State) int { return strings.Compare(a.Source, b.Source) })
	return all
}

// keySetTrouble says why widgets with the key set are unavailable, "" if they are not or
// nothing is known of it.
func (a *App) keySetTrouble(source string) string {
	set := a.sets.Known(source)
	if set == nil {
		return ""
	}
	if s := set.State(a.stale); !s.Served {
		return fmt.Sprintf("the key set cannot be read: %v. See whether it answers to this machine", s.Err)
	}
	return ""
}

// tryKeySet reads a key set now.
func (a *App) tryKeySet(ctx context.Context, source string) error {
	set, err := a.sets.Open(source)
	if err != nil {
		return err
	}
	set.Start()
	read := make(chan error, 1)
	go func() { read <- set.Update() }()
	select {
	case err := <-read:
		return err
	case <-ctx.Done():
		return errors.New("it has not answered yet")
	}
}

// setHealth is down if nothing but key sets verifies, and all are unavailable.
func (a *App) setHealth(h *adminapi.Health) {
	sets := a.usedSets()
	status := adminapi.Degraded
	if own := a.ownSets(); !a.usesStore && len(own) == len(a.own) &&
		!slices.ContainsFunc(sets, func(s keysets.State) bool { return s.Served }) {
		status = adminapi.Down
	}
	for _, s := range sets {
		what := "the key set " + s.Source
		switch {
		case s.Err != nil && s.Served:
			h.Add(adminapi.Degraded, fmt.Sprintf("%s cannot be read (%v): its last keys are used until %s, and then its widgets are unavailable. See whether it answers to this machine",
				what, s.Err, s.Failed.Add(a.stale).UTC().Format("15:04:05 MST")))
		case s.Err != nil:
			h.Add(status, fmt.Sprintf("%s cannot be read (%v), so its widgets are unavailable: see whether it answers to this machine", what, s.Err))
		case s.Empty:
			what += " has no public key that verifies signatures, so no token of its widgets does: tell whoever publishes it"
			if s.Unused != "" {
				what += " (" + s.Unused + ")"
			}
			h.Add(adminapi.Degraded, what)
		}
	}
}

// stateOfSet is a set's label in metrics.
func stateOfSet(s keysets.State) string {
	switch {
	case s.Err == nil:
		return "current"
	case s.Served:
		return "stale"
	}
	return "unavailable"
}
