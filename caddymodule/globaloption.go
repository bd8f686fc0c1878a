package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("chat_identity", parseGlobalOption)
}

func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next() // so that the error says where
		return nil, d.Err("the global option chat_identity is given twice: put all of it into one block")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "chat_identity", Value: caddyconfig.JSON(app, nil)}, nil
}

// laterGlobal are options that a coming version will have.
var laterGlobal = map[string]bool{
	"encryption_key": true, "widgets": true, "ledger": true, "cache": true, "stale_if_error": true, "allow_reveal": true,
}

// UnmarshalCaddyfile sets up the app. Syntax:
//
//	chat_identity {
//	    widget <id> {
//	        secret  <secret>...
//	        mode    off|optional|required
//	        dialect <name>
//	    }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.Errf("unexpected '%s': the global option chat_identity takes a block", d.Val())
	}
	for d.NextBlock(0) {
		switch name := d.Val(); {
		case name == "widget":
			w, err := unmarshalInlineWidget(d)
			if err != nil {
				return err
			}
			for _, other := range a.InlineWidgets {
				if other.ID == w.ID {
					return d.Errf("widget %s is declared twice: a rotation lists both secrets in one declaration, current first", w.ID)
				}
			}
			a.InlineWidgets = append(a.InlineWidgets, w)
		case laterGlobal[name]:
			return d.Errf("%s is not available in this version", name)
		default:
			return d.Errf("unknown option '%s' of the global chat_identity block: expected widget", name)
		}
	}
	return nil
}

func unmarshalInlineWidget(d *caddyfile.Dispenser) (w InlineWidget, err error) {
	if err := oneArg(d, &w.ID, "the widget's id, as in 'widget shop { ... }'"); err != nil {
		return w, err
	}
	if !validWidgetID(w.ID) {
		return w, d.WrapErr(badWidgetID(w.ID))
	}
	if w.ID == defaultWidget {
		return w, d.Errf("widget id '%s' is reserved for handlers' own secrets: choose another", w.ID)
	}
	seen := make(map[string]bool)
	nesting := d.Nesting()
	for d.NextBlock(nesting) {
		name := d.Val()
		if seen[name] {
			return w, d.Errf("%s is given twice in widget %s", name, w.ID)
		}
		seen[name] = true
		switch name {
		case "secret":
			if w.Secrets = d.RemainingArgs(); len(w.Secrets) == 0 {
				return w, d.Err("secret needs at least one secret, as in 'secret {env.SHOP_SECRET}'")
			}
			if err := checkLiterals(w.Secrets); err != nil {
				return w, d.WrapErr(err)
			}
		case "mode":
			var text string
			if err := enumArg(d, &text, "off", "optional", "required"); err != nil {
				return w, err
			}
			_ = w.Mode.UnmarshalText([]byte(text)) // one of the three
		case "dialect":
			if err := dialectArg(d, &w.Dialect); err != nil {
				return w, err
			}
		default:
			return w, d.Errf("unknown option '%s' of widget %s: one of secret, mode, dialect", name, w.ID)
		}
		if d.NextBlock(nesting+1) || d.Val() == "}" {
			return w, d.Errf("%s has no block", name)
		}
	}
	if len(w.Secrets) == 0 {
		return w, d.Errf("widget %s has no secret: add the line 'secret {env.NAME}' or 'secret {file.PATH}'", w.ID)
	}
	return w, nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*App)(nil)
