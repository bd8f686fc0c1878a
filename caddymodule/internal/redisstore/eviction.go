package redisstore

import (
	"context"
	"strings"

	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
)

// policyEvery is how many heartbeats pass between two questions for the policy, about a
// minute.
const policyEvery = 240

// warnEviction logs that Redis evicts widgets, once per policy. Only a user with the right
// +info is told, which the ledger needs anyway. Only check calls it.
func (s *Store) warnEviction(ctx context.Context, client rueidis.Client) {
	if s.beats++; s.beats%policyEvery != 1 {
		return
	}
	text, err := client.Do(ctx, client.B().Info().Section("memory").Build()).ToString()
	if err != nil {
		return // the next heartbeat notices what matters
	}
	policy := redislink.Info(text)["maxmemory_policy"]
	evicts := strings.HasPrefix(policy, "allkeys-") // widgets do not expire
	if evicts && policy != s.policy {
		s.log.Error("Redis evicts widgets without a trace when its memory is full: set its maxmemory-policy to noeviction, or use a server of its own",
			zap.String("maxmemory_policy", policy))
	}
	s.policy = policy
}
