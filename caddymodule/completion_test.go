package caddymodule

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// TestCompletion: what a shell proposes, through Caddy's own completion.
func TestCompletion(t *testing.T) {
	p := newProcess(t, "encryption_key {env.TEST_KEY}", liveSite)
	p.run(t)
	for _, id := range []string{"shop-1", "shop-2", "bank"} {
		p.create(t, `{"id":"`+id+`"}`)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	must(t, err)
	defer silent.Close()
	for _, c := range []struct{ args, begun, want string }{
		{"set shop --mode", "", "off optional required"},
		{"create shop --dialect", "", strings.ReplaceAll(adminapi.Dialects(), ",", "")},
		{"sign --dialect", "", strings.ReplaceAll(adminapi.Dialects(), ",", "")},
		{"rotate shop --grace", "", "1h 24h 7d 30d"},
		{"stats --last", "", "minute hour day"},
		{"rotate --address " + p.admin, "shop", "shop-1 shop-2"},
		{"show --address " + p.admin, "", "bank shop-1 shop-2"},
		{"show --address " + p.admin + " bank", "", ""},
		{"show --address " + p.admin, "../", ""},
		{"list --address " + p.admin, "", ""},
		{"delete --address " + silent.Addr().String(), "", ""},
		{"delete --address " + fmt.Sprintf("127.0.0.1:%d", freePort(t)), "", ""},
	} {
		args := append(append([]string{"__complete", "chat-identity"}, strings.Fields(c.args)...), c.begun)
		out, err := caddyCommand(p.dir, args...).Output()
		must(t, err)
		lines := strings.Split(string(out), "\n")
		end := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, ":") })
		equal(t, strings.Join(lines[:max(end, 0)], " "), c.want, "%s %q", c.args, c.begun)
	}
}
