package command

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// loadConfig returns a configuration as JSON, adapted if it is none. As in Caddy's own
// commands, no file is the Caddyfile in the current directory, and a dash is standard input.
func loadConfig(file, adapter string) (config []byte, err error) {
	if file == "" && adapter != "" {
		file = "Caddyfile"
	}
	config, _, _, err = caddycmd.LoadConfig(file, adapter)
	if err != nil {
		return nil, err
	}
	if config == nil {
		return nil, errors.New("there is no Caddyfile in the current directory: name the configuration with --config")
	}
	return caddy.RemoveMetaFields(config), nil
}
