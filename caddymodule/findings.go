package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
)

// Check returns what is unlikely to be meant, for a configuration that was provisioned and
// is not to be started.
func (a *App) Check() (*findings.Report, error) {
	if err := a.examine(); err != nil {
		return nil, err
	}
	a.checkSpoolFolder(cmp.Or(a.Spool, os.TempDir()))
	if a.usesLedger && a.ledgerFile != "" {
		a.checkFile("ledger", a.ledgerFile, a.ledgerFile)
		if err := boltledger.CheckBeginning(a.ledgerFile); err != nil {
			a.find(findings.FileDamaged, fmt.Sprintf("the ledger %s cannot be used: %v", a.ledgerFile, err))
		}
	}
	if (a.usesStore || a.usesAssertion) && a.file != "" {
		target, err := filepath.EvalSymlinks(a.file)
		if err != nil {
			target = a.file
		}
		a.checkFile("file of widgets", a.file, filepath.Dir(target)) // a change replaces the file
		if a.store.Err() != nil && isFile(a.file) {
			_, why, _ := strings.Cut(a.store.Err().Error(), "widgets file: ")
			a.find(findings.FileDamaged, "the file of widgets cannot be used: "+why)
		}
	}
	for _, f := range append(a.storeFindings(), a.keyFindings()...) {
		a.report(f)
	}
	for _, h := range a.deciders {
		if h.Mode == widgets.ModeRequired {
			a.found.Required = append(a.found.Required, h.where())
		}
	}
	for _, w := range a.InlineWidgets {
		if w.Mode == widgets.ModeRequired {
			a.found.Required = append(a.found.Required, "widget "+w.ID)
		}
	}
	a.found.Sort()
	return &a.found, nil
}

// report logs a finding, and keeps it for [App.Check].
func (a *App) report(f findings.Finding) {
	f.Log(a.log)
	a.keep(f)
}

func (a *App) keep(f findings.Finding) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found.Findings = append(a.found.Findings, f)
}

// find reports a finding about the app itself.
func (a *App) find(kind findings.Kind, text string) {
	a.report(findings.New(kind, text).At(a.Line, ""))
}

// examine checks the sites and what can be found when all handlers are known.
func (a *App) examine() error {
	for _, s := range a.sites() {
		if err := s.Check(a.report); err != nil {
			return err
		}
	}
	for _, d := range a.deciders {
		if err := d.checkRenamed(); err != nil {
			return fmt.Errorf("%w%s, site %s", err, atLine(d.Line), d.where())
		}
	}
	if !a.hasHandlers {
		a.find(findings.NoDirective, "no site has the directive chat_identity, so nothing is verified and no forged header is removed")
		return nil
	}
	a.checkSessions()
	for _, w := range a.InlineWidgets {
		named := slices.DeleteFunc(slices.Clone(a.deciders), func(d *Handler) bool { named, _ := d.serves(a.inline[w.ID]); return !named })
		for _, d := range named {
			if p := d.planFor(a.inline[w.ID]); p != nil {
				if err := a.inline[w.ID].decodes(p); err != nil {
					a.report(findings.New(findings.SecretUndecoded, "an inline widget is unavailable here: "+err.Error()).At(d.Line, d.site))
				}
			}
		}
		switch {
		case len(named) == 0:
			a.report(findings.New(findings.WidgetUnreachable, "no request can name the inline widget "+w.ID+": no directive finds its widget by what requests name").At(w.Line, ""))
		case slices.ContainsFunc(named, func(d *Handler) bool { _, accepts := d.serves(a.inline[w.ID]); return accepts }):
		case slices.ContainsFunc(named, func(d *Handler) bool { id, _ := d.whyNot(a.inline[w.ID]); return id == secretWidget }):
			a.report(findings.New(findings.SecretRefused, "no directive takes the inline widget "+w.ID+", which has a secret: the tokens of each that can find it are verified with public keys").At(w.Line, ""))
		default:
			a.report(findings.New(findings.DialectRefused, "no directive takes the dialect "+w.Dialect+" of the inline widget "+w.ID+": each that can find it has a claim of its own, or one_time").At(w.Line, ""))
		}
	}
	return nil
}

// storeFindings are those about the widgets that are stored at this moment.
func (a *App) storeFindings() (all []findings.Finding) {
	for _, w := range a.InlineWidgets {
		if a.stored(w.ID) {
			all = append(all, findings.New(findings.WidgetShadowed, "widget "+w.ID+" is both inline (in the configuration) and stored: the inline one is used, "+
				"and the stored one would be without it").At(w.Line, ""))
		}
	}
	for id := range a.owners {
		if a.stored(id) {
			all = append(all, findings.New(findings.WidgetShadowed, "widget "+id+" is both a handler's own and stored: the stored one is not used"))
		}
	}
	return all
}

// keyFindings are about stored secrets that no configured key decrypts.
func (a *App) keyFindings() (all []findings.Finding) {
	for keyID, secrets := range a.keyIDs() {
		if !a.ring.Load().Has(keyID) {
			f := findings.New(findings.KeyMissing, fmt.Sprintf("stored secrets cannot be decrypted, so their widgets are unavailable: %d need encryption key %s", secrets, keyID))
			f.Advise(a.whereKeyIs(keyID, admin.RotateLost))
			all = append(all, f.At(a.Line, ""))
		}
	}
	if record, _ := a.store.Lookup(context.Background(), signingKeysID); a.usesAssertion && record != nil {
		if keyID := record.Secrets[0].KeyID; !a.ring.Load().Has(keyID) {
			f := findings.New(findings.KeyMissing, "the keys that sign assertions cannot be decrypted: they need encryption key "+keyID)
			f.Advise(a.whereKeyIs(keyID, admin.ReplaceLost))
			all = append(all, f.At(a.Line, ""))
		}
	}
	return all
}

// checkSpoolFolder finds a folder of temporary files that is no disk.
func (a *App) checkSpoolFolder(dir string) {
	if body.InMemory(dir) {
		a.find(findings.SpoolInMemory, "the temporary files of uploads are held in memory, in "+dir)
	}
}

// checkFile finds a file that could not be written, or replaced within the folder written,
// without opening or locking it: a running gateway may have it open.
func (a *App) checkFile(what, path, written string) {
	existing := written
	info, err := os.Stat(existing)
	for err != nil && !errors.Is(err, fs.ErrPermission) && existing != filepath.Dir(existing) {
		existing = filepath.Dir(existing) // what is missing would be created in it
		info, err = os.Stat(existing)
	}
	f := findings.New(findings.FileUnwritable, "")
	at, _ := os.Stat(path)
	switch {
	case at != nil && !at.Mode().IsRegular():
		err, f.Remedy = errors.New("it is a folder or a device"), "Name a file in it, or move what is there away"
	case err != nil:
	case existing != path && !info.IsDir():
		err, f.Remedy = errors.New(existing+" is not a folder"), "Name a file in a folder"
	case existing != path && durable.Kernel(existing):
		err, f.Remedy = errors.New(existing+" has only the kernel's own files"), "Name a file on a disk"
	default:
		switch err = writable(existing); {
		case err != nil && existing != path && existing != written && existing != filepath.Dir(path):
			err, f.Remedy = fmt.Errorf("its folder does not exist, and in %s: %w", existing, err), "Create the folder "+filepath.Dir(path)+", owned by the user that Caddy runs as"
		case err == nil && written != path: // it would be replaced
			if err = durable.Replaceable(path); err != nil {
				f.Advise(durable.Explain(err, "").Advice)
			}
		}
	}
	if err != nil {
		f.Text = fmt.Sprintf("the %s %s cannot be written: %v", what, path, err)
		a.report(f.At(a.Line, ""))
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// checkPassword finds a password in the URL of a store.
func (a *App) checkPassword(option string, module json.RawMessage) {
	var store struct{ URL string }
	_ = json.Unmarshal(module, &store) // LoadModule says what is wrong with it
	options, _ := redislink.Parse(store.URL)
	for _, password := range [...]string{options.Password, options.SentinelPassword} {
		if _, kind := placeholder(password); password != "" && kind == "" {
			a.find(findings.SecretLiteral, "a password in the URL of "+option+" is written into the configuration, where Caddy's admin API and autosave.json show it")
		}
	}
}

// find reports a finding about the handler.
func (h *Handler) find(kind findings.Kind, text string) {
	if h.Guard {
		return // the handler that it belongs to reports
	}
	f := findings.New(kind, text).At(h.Line, h.site)
	f.Log(h.log.zap)
	h.app.keep(f)
}

// tiny is a size, in bytes, that nobody means: a unit is missing.
const tiny = 1 << 10

// checkValues finds options that load but are unlikely to be meant.
func (h *Handler) checkValues() {
	for i, size := range [...]int64{h.MaxBody, h.MaxUpload} {
		if size < tiny {
			h.find(findings.ValueTiny, fmt.Sprintf("%s is %d bytes, too little for most requests", [...]string{"max_body", "max_upload"}[i], size))
		}
	}
	if share := h.app.MaxSpool / body.ClientShare; h.MaxUpload > share {
		h.find(findings.UploadTooLarge, fmt.Sprintf("max_upload (%s) exceeds one client's share of max_spool, an eighth (%s): larger uploads get 503",
			humanize.IBytes(uint64(h.MaxUpload)), humanize.IBytes(uint64(share))))
	}
	if h.MaxAge > 0 && h.MaxAge < caddy.Duration(time.Second) {
		h.find(findings.ValueTiny, "max_age is "+period.Text(time.Duration(h.MaxAge))+", too short for any network")
	}
	if h.Token != nil && h.Token.NoExpiry {
		h.find(findings.TokenForever, "tokens without an exp are accepted with no_expiry: whoever gets hold of one is that user until the key is rotated")
	}
	if p := h.plan; p != nil && p.hashIsToken() {
		h.find(findings.HashIsToken, "the secret that signs user ids signs tokens by HS256, too: who can choose an id of the form 'header.payload' gets, as its signature, that of a token for anybody")
	}
	if h.Assertion != "" && !h.asserts() {
		h.find(findings.NotAsserted, "no request gets an assertion, since 'header assertion off' leaves it out")
	} else if h.Assertion != "" && h.Mode == widgets.ModeOff && (h.own != "" || h.widgetless()) {
		h.find(findings.NotAsserted, "no request gets an assertion, since none has one in mode off")
	}
	h.checkSessionKey()
	if h.Unverified == claimKeep {
		h.find(findings.ClaimsKept, "unverified claims are left in requests: an upstream that reads them instead of X-Verified-User believes anyone")
	}
}
