package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("chat_identity", parseGlobalOption)
}

func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next() // so that the error says where
		return nil, d.Err("the global option chat_identity is repeated: put all of it into one block")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "chat_identity", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app. Syntax:
//
//	chat_identity {
//	    encryption_key <key>...
//	    widgets        file [<path>]|redis <url>
//	    ledger         bolt [<path>]|redis <url>
//	    cache          <size>
//	    max_spool      <size>
//	    spool          <dir>
//	    stale_if_error <duration>
//	    allow_reveal
//	    assertion {
//	        issuer   <text>
//	        lifetime <duration>
//	    }
//	    widget <id> {
//	        secret  <secret>...
//	        mode    off|optional|required
//	        dialect <name>
//	    }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	segment := *d
	return hideSecrets(a.unmarshal(d), segment)
}

func (a *App) unmarshal(d *caddyfile.Dispenser) error {
	a.Line = position(d)
	if d.NextArg() {
		return d.Errf("unexpected '%s': the global option chat_identity takes a block; mode and matcher go behind the directive in a site", d.Val())
	}
	return appBlock.each(d, func(name string) error { return a.unmarshalOption(d, name) })
}

func (a *App) unmarshalOption(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "encryption_key":
		return a.unmarshalKeys(d)
	case "widgets":
		return unmarshalStore(d, "chat_identity.widgets", "file", &a.WidgetsRaw)
	case "ledger":
		return unmarshalStore(d, "chat_identity.ledgers", "bolt", &a.LedgerRaw)
	case "stale_if_error":
		a.StaleIfError = new(caddy.Duration)
		return durationArg(d, a.StaleIfError, 0)
	case "cache":
		return sizeArg(d, &a.Cache, widgets.MinCache, maxCache)
	case "max_spool":
		return sizeArg(d, &a.MaxSpool, 1, largestMaxSpool)
	case "spool":
		if err := oneArg(d, &a.Spool, "a folder, as in 'spool /var/lib/caddy/spool'"); err != nil {
			return err
		}
		return checkPath(a.Spool)
	case "allow_reveal":
		return flagArg(d, &a.AllowReveal)
	case "assertion":
		a.Assertion = new(Assertion)
		return a.Assertion.unmarshal(d)
	case "widget":
		return a.unmarshalWidget(d)
	}
	return nil
}

func (a *App) unmarshalKeys(d *caddyfile.Dispenser) error {
	if a.EncryptionKeys = d.RemainingArgs(); len(a.EncryptionKeys) == 0 {
		return errors.New("encryption_key needs at least one key, as in 'encryption_key {env.CHAT_IDENTITY_KEY}'")
	}
	for i, written := range a.EncryptionKeys {
		if _, kind := placeholder(written); kind == "" {
			err := checkWritten(written)
			if err == nil {
				_, err = parseEncryptionKey(written)
			}
			if err != nil {
				return fmt.Errorf("encryption_key%s: %w", numbered(i, len(a.EncryptionKeys)), err)
			}
		}
	}
	return nil
}

// unmarshalStore reads a line that names a module of the namespace and has that module's
// arguments. file is the name of the one that keeps a file.
func unmarshalStore(d *caddyfile.Dispenser, namespace, file string, to *json.RawMessage) error {
	option := d.Val()
	if !d.NextArg() {
		return fmt.Errorf("%s takes a kind: %s, and its path if it is not to be in Caddy's data directory; or redis and its URL", option, file)
	}
	name := d.Val()
	ahead := *d
	switch _, err := caddy.GetModule(namespace + "." + name); {
	case name == file && ahead.NextArg() && strings.Contains(ahead.Val(), "://"): // not quoted: it may hold a password
		return fmt.Errorf("%s %s: this is a URL, not a path: write '%[1]s redis <url>'", option, file)
	case err != nil && strings.Contains(name, "://"): // not quoted: it may hold a password
		return fmt.Errorf("%s: the kind is missing before the URL: write '%[1]s redis <url>'", option)
	case err != nil && strings.Contains(name, "/"):
		return fmt.Errorf("%s: the kind is missing before the path: write '%[1]s %s %s'", option, file, name)
	case err != nil:
		return fmt.Errorf("%s: there is no kind '%s': it is %s or redis", option, name, file)
	}
	module, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
	if err != nil {
		return err
	}
	*to = caddyconfig.JSONModuleObject(module, "store", name, nil)
	return nil
}

func (a *App) unmarshalWidget(d *caddyfile.Dispenser) error {
	var w InlineWidget
	if err := oneArg(d, &w.ID, "the widget's id, as in 'widget shop { ... }'"); err != nil {
		return err
	}
	if err := checkInlineID(w.ID, slices.ContainsFunc(a.InlineWidgets, func(other InlineWidget) bool { return other.ID == w.ID })); err != nil {
		return err
	}
	w.Line = position(d)
	options := widgetBlock
	options.name = "widget " + w.ID
	err := options.each(d, func(name string) error {
		switch name {
		case "secret":
			return secretArgs(d, &w.Secrets, "SHOP_SECRET")
		case "mode":
			var text string
			if err := oneArg(d, &text, "off, optional or required"); err != nil {
				return err
			}
			return w.Mode.UnmarshalText([]byte(text))
		case "dialect":
			return dialectArg(d, &w.Dialect)
		}
		return nil
	})
	if err == nil && len(w.Secrets) == 0 {
		err = noSecret(w.ID)
	}
	a.InlineWidgets = append(a.InlineWidgets, w)
	return err
}

// Interface guards
var _ caddyfile.Unmarshaler = (*App)(nil)
