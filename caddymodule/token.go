package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// apply replaces those of the dialect's rules that this block has. A require or forbid
// replaces the one of its pointer: what else a dialect demands, such as that a token is no
// server's, still holds.
func (t *Token) apply(rules *verifier.Token) {
	if t == nil {
		return
	}
	if len(t.Algorithms) > 0 {
		rules.Algorithms = t.Algorithms
	}
	if len(t.UserID) > 0 {
		rules.UserID, rules.TextUserID = t.UserID, false
	}
	rules.Email, rules.Name = cmp.Or(t.Email, rules.Email), cmp.Or(t.Name, rules.Name)
	rules.Phone, rules.Company = cmp.Or(t.Phone, rules.Phone), cmp.Or(t.Company, rules.Company)
	rules.Attributes = cmp.Or(t.Attributes, rules.Attributes)
	if len(t.Require) > 0 {
		if rules.Require = maps.Clone(rules.Require); rules.Require == nil {
			rules.Require = make(map[string][]string)
		}
		maps.Copy(rules.Require, t.Require)
	}
	rules.Forbid = slices.Concat(rules.Forbid, t.Forbid)
	rules.MaxLifetime = cmp.Or(time.Duration(t.MaxLifetime), rules.MaxLifetime)
	rules.NoExpiry = rules.NoExpiry || t.NoExpiry
}

// checkToken refuses options about proofs that the dialect, with the handler's own places,
// does not have.
func (h *Handler) checkToken(d *verifier.Dialect) error {
	takes, signs := d.TakesToken(), d.Message != ""
	absent := func(option string) error {
		return ofOption(option, fmt.Errorf("%s: the dialect %s has no token: say where it travels, as in 'claim token header Authorization'", option, d.Name))
	}
	switch {
	case h.Token != nil && !takes:
		return absent("token")
	case h.WidgetToken != "" && !takes:
		return absent("widget token")
	case h.Proof == "token" && !takes:
		return absent("proof")
	case h.Proof == "signature" && !signs:
		return ofOption("proof", fmt.Errorf("proof signature: the dialect %s has tokens alone", d.Name))
	case h.Proof == "signature" && (h.Token != nil || h.WidgetToken != ""):
		return ofOption("proof", errors.New("proof signature: no token counts, so neither 'token' nor 'widget token' has a meaning"))
	}
	return nil
}

// unmarshal reads the block.
func (t *Token) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return fmt.Errorf("unexpected '%s': token takes a block", d.Val())
	}
	return tokenBlock.each(d, func(name string) error { return t.option(d, name) })
}

func (t *Token) option(d *caddyfile.Dispenser, name string) error {
	texts := map[string]*string{"email": &t.Email, "name": &t.Name, "phone": &t.Phone, "company": &t.Company, "attributes": &t.Attributes}
	switch name {
	case "algorithm":
		if t.Algorithms = d.RemainingArgs(); len(t.Algorithms) == 0 {
			return errors.New("algorithm needs at least one, as in 'algorithm HS256'")
		}
		return (&verifier.Token{Algorithms: t.Algorithms}).Check()
	case "user_id":
		return pointerArgs(d, name, &t.UserID)
	case "forbid":
		return pointerArgs(d, name, &t.Forbid)
	case "require":
		args := d.RemainingArgs()
		if len(args) < 2 || slices.Contains(args, "") {
			return errors.New("require needs a JSON pointer and at least one value, as in 'require /iss https://id.example.com'" + unsetNote)
		}
		if t.Require == nil {
			t.Require = make(map[string][]string)
		}
		if _, twice := t.Require[args[0]]; twice {
			return fmt.Errorf("require %s is repeated: list all its values in one line", args[0])
		}
		t.Require[args[0]] = args[1:]
		return checkPointer(name, args[0])
	case "max_lifetime":
		return durationArg(d, &t.MaxLifetime, caddy.Duration(time.Second))
	case "no_expiry":
		return flagArg(d, &t.NoExpiry)
	}
	if err := oneArg(d, texts[name], "a JSON pointer, as in '"+name+" /"+name+"'"); err != nil || *texts[name] == "rest" && name == "attributes" {
		return err
	}
	return checkPointer(name, *texts[name])
}

// pointerArgs takes one or more JSON pointers.
func pointerArgs(d *caddyfile.Dispenser, name string, to *[]string) error {
	if *to = d.RemainingArgs(); len(*to) == 0 {
		return fmt.Errorf("%s needs at least one JSON pointer, as in '%s /sub'", name, name)
	}
	for _, pointer := range *to {
		if err := checkPointer(name, pointer); err != nil {
			return err
		}
	}
	return nil
}
