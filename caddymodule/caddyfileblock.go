package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// optionBlock is a kind of block in a Caddyfile.
type optionBlock struct {
	name               string   // for errors
	options            []string // in the order of the documentation
	repeatable, nested []string // options that may be repeated, or have a block of their own
}

var (
	handlerBlock = optionBlock{"the chat_identity directive", []string{
		"dialect", "widget", "secret", "public_key", "jwks", "key_encoding", "claim", "proof", "token", "at", "message", "encoding", "max_age", "skew", "one_time", "nonce_length", "timestamp_unit",
		"conversation", "visitor", "identify", "session", "refuse", "unverified", "max_body", "max_upload", "reject", "header", "cors", "assertion", "jwks_path", "stream_lifetime",
	}, []string{"claim", "reject", "header"}, []string{"conversation", "token"}}
	appBlock = optionBlock{"the global chat_identity block", []string{
		"encryption_key", "widgets", "ledger", "cache", "max_spool", "spool", "stale_if_error", "allow_reveal", "assertion", "widget",
	}, []string{"widget"}, []string{"assertion", "widget"}}
	widgetBlock       = optionBlock{name: "a widget's block in the global options", options: []string{"secret", "mode", "dialect"}}
	assertionBlock    = optionBlock{name: "assertion's block in the global options", options: []string{"issuer", "lifetime"}}
	conversationBlock = optionBlock{name: "conversation's block", options: []string{"keep", "limit"}}
	tokenBlock        = optionBlock{name: "token's block", options: []string{
		"algorithm", "user_id", "email", "name", "phone", "company", "attributes", "require", "forbid", "max_lifetime", "no_expiry",
	}, repeatable: []string{"require", "forbid"}}

	allBlocks = [...]*optionBlock{&handlerBlock, &appBlock, &widgetBlock, &assertionBlock, &conversationBlock, &tokenBlock}
)

// synonyms are what other programs call an option, of one block or another.
var synonyms = map[string]string{
	"redis": "widgets redis <url>", "file": "widgets file <path>", "bolt": "ledger bolt <path>", "store": "widgets", "key": "secret", "hmac_secret": "secret",
	"ttl": "keep; lifetime", "for": "keep", "leeway": "skew", "tolerance": "skew", "timeout": "max_age", "origins": "cors", "allow_origin": "cors", "template": "message",
	"format": "encoding", "path": "at", "root": "at", "status": "reject <reason> <status>", "user_id": "claim user_id <location> <name>",
	"audience": "require /aud <value>; assertion <audience>", "aud": "require /aud <value>; assertion <audience>", "issuer": "require /iss <value>", "iss": "require /iss <value>",
	"alg": "algorithm", "algorithms": "algorithm", "sub": "user_id", "expiry": "max_lifetime; lifetime", "jwt": "dialect jwt", "jwks_url": "jwks", "pem": "public_key",
	"user": "claim user_id <location> <name>", "signature": "claim signature <location> <name>", "product": "dialect",
}

// fewest are how many arguments an option has at least, if more than one.
var fewest = map[string]int{"claim": 3, "reject": 2, "header": 2, "require": 2, "conversation": 2, "visitor": 2}

// each visits the options of a block. Errors get the line of their option.
func (b *optionBlock) each(d *caddyfile.Dispenser, visit func(name string) error) error {
	seen, nesting := make(map[string]bool), d.Nesting()
	for d.NextBlock(nesting) {
		at, name := *d, d.Val()
		switch {
		case !slices.Contains(b.options, name):
			return b.unknown(name, at)
		case seen[name] && !slices.Contains(b.repeatable, name):
			if name == "secret" {
				return at.Err("secret is repeated: list all secrets in one line, the current one first")
			}
			return at.Errf("%s is repeated", name)
		}
		seen[name] = true
		args := at
		if err := visit(name); err != nil {
			given := args.RemainingArgs()
			if len(given) < max(1, fewest[name]) && !strings.Contains(err.Error(), ", at ") && !strings.HasSuffix(err.Error(), unsetNote) {
				err = fmt.Errorf("%w%s", err, unsetNote)
			}
			return wrap(&at, withPlaceholderNote(err, given))
		}
		if !slices.Contains(b.nested, name) && (d.NextBlock(nesting+1) || d.Val() == "}") {
			return at.Errf("%s has no block", name)
		}
	}
	return nil
}

// unknown refuses an option that this kind of block does not have, and says where it
// belongs or what was probably meant.
func (b *optionBlock) unknown(name string, at caddyfile.Dispenser) error {
	bare := name // without a value, which may be a secret
	if i := strings.IndexAny(name, ":="); i > 0 {
		bare = name[:i]
	}
	if mode, err := widgets.ParseMode(bare); b == &handlerBlock && (err == nil && mode != widgets.ModeUnset || bare == "mode") {
		return at.Err("the mode goes on the directive's own line, as in 'chat_identity required {'")
	}
	if bare != name && slices.Contains(b.options, bare) {
		return at.Errf("unexpected '%s': write '%s' and a space", name[:len(bare)+1], bare)
	}
	name = bare
	refuse := func(advice string) error { return at.Errf("unknown option '%s' of %s%s", name, b.name, advice) }
	for meant := range strings.SplitSeq(synonyms[name], "; ") {
		if slices.Contains(b.options, strings.Split(meant, " ")[0]) {
			return refuse(": write '" + meant + "'")
		}
	}
	var elsewhere []string
	for _, other := range allBlocks {
		if slices.Contains(other.options, name) {
			elsewhere = append(elsewhere, other.name)
		}
	}
	if len(elsewhere) > 0 {
		return refuse(": it belongs in " + strings.Join(elsewhere, " or in "))
	}
	if _, err := caddy.GetModule("http.handlers." + name); err == nil || slices.Contains(siteDirectives, name) {
		return refuse(": it is a directive of the site, so a closing brace is missing before it")
	}
	if meant := choice.Nearest(name, b.options); meant != "" {
		return refuse(" (did you mean '" + meant + "'?)")
	}
	for _, other := range allBlocks {
		if meant := choice.Nearest(name, other.options); meant != "" {
			return refuse(fmt.Sprintf(" (did you mean '%s', which belongs in %s?)", meant, other.name))
		}
	}
	return refuse(": one of " + strings.Join(b.options, ", "))
}

// siteDirectives are directives of Caddy that are not called as their handler.
var siteDirectives = []string{"basic_auth", "bind", "file_server", "forward_auth", "handle", "handle_errors", "handle_path", "log", "php_fastcgi", "redir", "respond", "root", "route", "tls"}

// withPlaceholderNote adds, where the arguments have one, that placeholders are not replaced
// in every option.
func withPlaceholderNote(err error, args []string) error {
	for _, arg := range args {
		if _, kind := placeholder(arg); kind == "env" && strings.Contains(err.Error(), "'"+arg+"'") && !strings.Contains(err.Error(), "{$NAME}") {
			return fmt.Errorf("%w (%s is not replaced here; {$NAME} is, when the Caddyfile is read)", err, arg)
		}
	}
	return err
}

// hideSecrets removes from an error what looks like a secret in the segment that it is about.
func hideSecrets(err error, segment caddyfile.Dispenser) error {
	if err == nil {
		return nil
	}
	message := err.Error()
	for more := true; more; more = segment.Next() {
		message = secrettext.Hide(message, segment.Val())
	}
	if message == err.Error() {
		return err
	}
	return errors.New(message)
}

// wrap adds file and line to an error, if there is one that has none yet.
func wrap(d *caddyfile.Dispenser, err error) error {
	if err == nil || strings.Contains(err.Error(), ", at "+d.File()+":") {
		return err
	}
	return d.WrapErr(err)
}

// position returns the current file and line.
func position(d *caddyfile.Dispenser) string { return fmt.Sprintf("%s:%d", d.File(), d.Line()) }
