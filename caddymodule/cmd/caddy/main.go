// Command caddy is stock Caddy with the chat_identity module compiled in: the
// build for those who do not use xcaddy.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/chatidentity/caddy-chat-identity/caddymodule"
)

func main() {
	caddycmd.Main()
}
