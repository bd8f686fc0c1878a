package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/keysets"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/ledgers"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/observe"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App holds the chat widgets that all `chat_identity` handlers of a configuration share.
//
// Each widget has its own secret, with which a customer's server signs user ids. A handler finds the widget that a
// request names here: among those defined in the configuration, else in the store, which the admin API and
// `caddy chat-identity` change while Caddy runs. Handlers with a `secret` of their own need no app.
type App struct {
	// Keys that encrypt the store's secrets, each the base64 of 32 bytes. The first encrypts, all decrypt. A value that is
	// one `{env.NAME}` or `{file.PATH}` placeholder is resolved when the configuration is loaded. Default: a key that is
	// created on the first start and kept in Caddy's data directory.
	EncryptionKeys []string `json:"encryption_keys,omitempty"`

	// Where widgets are kept that are not defined in the configuration. Default: `file`.
	WidgetsRaw json.RawMessage `json:"widgets,omitempty" caddy:"namespace=chat_identity.widgets inline_key=store"`

	// Where used one-time signatures, claimed conversations and merged visitors are recorded. Default: `bolt`.
	LedgerRaw json.RawMessage `json:"ledger,omitempty" caddy:"namespace=chat_identity.ledgers inline_key=store"`

	// How long a known widget is served while the store is unreachable, and a key set while it cannot be read; 0 fails closed
	// at once. The file store always serves what it read last. Default: 1m.
	StaleIfError *caddy.Duration `json:"stale_if_error,omitempty"`

	// The maximum memory for cached decrypted secrets, in bytes, and the same again for records from Redis. Default: 64 MiB.
	Cache int64 `json:"cache,omitempty"`

	// The maximum disk space for the temporary files of multipart bodies, in bytes; one client may use an eighth. Beyond it
	// such a body is answered 503. Default: 4 GiB.
	MaxSpool int64 `json:"max_spool,omitempty"`

	// The folder for these files, which have no name while they are in use. It must exist and be writable. Default: the
	// system's temporary folder.
	Spool string `json:"spool,omitempty"`

	// Lets the admin API show a stored secret again. Default: false.
	AllowReveal bool `json:"allow_reveal,omitempty"`

	// What the assertions of all handlers have in common. Default: as its options say.
	Assertion *Assertion `json:"assertion,omitempty"`

	// Inline widgets, defined in the configuration. The admin API cannot change them.
	InlineWidgets []InlineWidget `json:"inline_widgets,omitempty"`

	// Where a Caddyfile has these options, such as `Caddyfile:2`, for messages. The adapter sets it. Default: none.
	Line string `json:"line,omitempty"`

	// generation numbers configurations in the order in which they were loaded.
	generation uint64
	ctx        caddy.Context
	// served says that this configuration has been active, replaced that it no longer
	// is or never will be.
	served, replaced atomic.Bool
	// sites reads the sites' routes, once, when all of them are provisioned.
	sites func() []*sites.Site

	// The configuration's widgets by id: those of its own block, and with handlers' own all.
	inline, own map[string]*widget
	spoken      map[string]bool // the dialects of inline widgets
	store       observe.Store
	// The files of store and ledger, "" where they are none.
	file, ledgerFile string
	ledger           *ledgers.Known
	opener           *widgets.Keys
	sets             *keysets.Sets                // of keys
	signing          *signingKeys                 // for assertions
	stale            time.Duration                // StaleIfError
	traffic          *traffic.Traffic             // the counts of requests
	ring             atomic.Pointer[widgets.Ring] // nil until there is an encryption key
	log              *zap.Logger
	spool            *body.Spool // of the process: uploads outlive a reload

	// Shared with the configurations before and after this one.
	sharedTraffic pooled[*traffic.Traffic]
	sharedKeys    pooled[*widgets.Keys]
	sharedSpool   pooled[*body.Spool]
	sharedSets    pooled[*keysets.Sets]
	sharedSigning pooled[*signingKeys]
	sharedMinter  pooled[*assertion.Minter]
	sharedCensus  pooled[*atomic.Pointer[census]] // of a large store it takes minutes

	deciders []*Handler // that decide requests of widgets; guarded by mu until all are provisioned
	// configuredWidgets describes the configuration's widgets by id, once all of it is provisioned.
	configuredWidgets func() map[string]*adminapi.Widget

	census   *atomic.Pointer[census] // the last of the store, nil before the first
	unmet    sync.Map                // when a request last lacked an encryption key, by the key's id
	counting sync.WaitGroup
	stop     context.CancelFunc // ends the background work; nil before Start
	// configured says that the encryption keys are configured, not created here.
	configured bool
	// offline says that a command works on the store itself, which creates no key.
	offline bool

	mu     sync.Mutex
	owners map[string]*handlerWidget // handlers' own widgets, by id
	// verifiers are the handlers' dialects, by what was compiled.
	verifiers map[string]*verifier.Verifier
	// usesStore says that some handler looks widgets up, usesLedger that some handler
	// needs the ledger.
	usesStore, usesLedger, hasHandlers bool
	usesAssertion                      bool          // some handler needs the signing keys
	window                             ledger.Window // the longest of all handlers with one_time
	found                              findings.Report
}

// InlineWidget is a chat widget that is defined in the configuration itself.
type InlineWidget struct {
	// The id that requests name it by: 1 to 128 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. The id
	// `default` is reserved.
	ID string `json:"id"`

	// The secrets, current first; the rest still verify, for a rotation without a gap. Each at least 16 bytes.
	// A value that is one `{env.NAME}` or `{file.PATH}` placeholder is resolved when the configuration is loaded;
	// any other value is the secret itself, and visible to whoever can read the configuration.
	Secrets []string `json:"secrets"`

	// `off`, `optional` or `required`. It wins over the handler's mode where it is stricter, or where the handler's is
	// not written. Default: the handler's.
	Mode widgets.Mode `json:"mode,omitempty"`

	// The widget's dialect: one of those that a handler can have. Default: the handler's.
	Dialect string `json:"dialect,omitempty"`

	// Where a Caddyfile has this widget, such as `Caddyfile:4`, for messages. The adapter sets it. Default: none.
	Line string `json:"line,omitempty"`
}

// WidgetStore is a module of the namespace `chat_identity.widgets`.
type WidgetStore interface {
	// Store opens the store. It is called once the module is provisioned. While the
	// store is unreachable, it goes on for staleIfError with what it knows. It caches at
	// most so many bytes of records.
	Store(staleIfError time.Duration, cache int64) (widgets.Store, error)
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity",
		New: func() caddy.Module { return new(App) },
	}
}

var generations atomic.Uint64

// Provision resolves secrets and opens the store. It writes nothing, since it also
// runs for `caddy validate`.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.log, a.generation = ctx, ctx.Logger(), generations.Add(1)
	a.found = findings.Report{Findings: []findings.Finding{}, Required: []string{}}
	a.owners, a.verifiers, a.sites = make(map[string]*handlerWidget), make(map[string]*verifier.Verifier), sync.OnceValue(a.readSites)
	a.configuredWidgets = sync.OnceValue(a.describeConfigured)
	// Metrics come first: after a failure of what follows, Caddy's admin endpoint keeps
	// this configuration's registry, which must show the one that runs.
	if err := registerMetrics(ctx); err != nil {
		return err
	}
	if err := a.sharedTraffic.take("", newTraffic(time.Now)); err != nil {
		return err
	}
	a.traffic = a.sharedTraffic.shared
	if err := a.sharedSets.take("", newSets); err != nil {
		return err
	}
	a.sets = a.sharedSets.shared
	if err := a.provisionInline(); err != nil {
		return err
	}
	if err := inOrder(a.provisionSpool, a.provisionAssertion, a.provisionKeys, a.provisionCache, a.provisionStore, a.provisionLedger); err != nil {
		return fmt.Errorf("%w%s", err, atLine(a.Line))
	}
	return nil
}

func (a *App) provisionInline() error {
	a.inline, a.own, a.spoken = make(map[string]*widget), make(map[string]*widget), make(map[string]bool)
	for i := range a.InlineWidgets {
		inline := &a.InlineWidgets[i]
		if err := checkInlineID(inline.ID, a.inline[inline.ID] != nil); err != nil {
			return err
		}
		w, literals, err := newWidget(inline.ID, inline.Secrets, inline.Mode, inline.Dialect)
		if err != nil {
			return fmt.Errorf("%w%s", err, atLine(inline.Line))
		}
		checkSecrets(w, literals, func(kind findings.Kind, text string) { a.report(findings.New(kind, text).At(inline.Line, "")) })
		// Caddy's request trace prints exported fields.
		inline.Secrets = nil
		a.inline[inline.ID], a.own[inline.ID], a.spoken[w.dialect] = w, w, true
	}
	return nil
}

// checkSecrets finds secrets that are no secrets.
func checkSecrets(w *widget, literals bool, find func(findings.Kind, string)) {
	secret := "a secret"
	if w.id != defaultWidget {
		secret += " of widget " + w.id
	}
	if literals {
		find(findings.SecretLiteral, secret+" is written into the configuration, where Caddy's admin API and autosave.json show it")
	}
	if w.inline.doubt != nil {
		find(findings.SecretDoubtful, secret+" is used as it is, but may not be what was meant: "+w.inline.doubt.Error())
	}
}

func (a *App) provisionStore() error {
	if a.WidgetsRaw == nil {
		a.WidgetsRaw = json.RawMessage(`{"store":"file"}`)
	}
	a.checkPassword("widgets", a.WidgetsRaw)
	a.checkPassword("ledger", a.LedgerRaw)
	var kind struct{ Store, URL string }
	_ = json.Unmarshal(a.WidgetsRaw, &kind) // LoadModule says what is wrong with it
	if kind.Store == "redis" {
		if !a.configured {
			return errRedisKey
		}
		if a.LedgerRaw == nil {
			a.LedgerRaw = caddyconfig.JSONModuleObject(map[string]string{"url": kind.URL}, "store", "redis", nil)
		}
	}
	a.stale = defaultStale
	if a.StaleIfError != nil {
		a.stale = time.Duration(*a.StaleIfError)
	}
	if a.stale < 0 {
		return errors.New("stale_if_error must not be negative")
	}
	digest := digestOf(string(a.WidgetsRaw))
	if err := a.sharedSigning.take(digest, newSigningKeys); err != nil {
		return err
	}
	if err := a.sharedCensus.take(digest, func() (*atomic.Pointer[census], error) { return new(atomic.Pointer[census]), nil }); err != nil {
		return err
	}
	a.signing, a.census = a.sharedSigning.shared, a.sharedCensus.shared
	loaded, err := a.ctx.LoadModule(a, "WidgetsRaw")
	if err != nil {
		return moduleError("widgets", err)
	}
	module, ok := loaded.(WidgetStore)
	if !ok {
		return fmt.Errorf("widgets: the module %T is not a store of widgets", loaded)
	}
	store, err := module.Store(a.stale, a.Cache)
	if err != nil {
		return moduleError("widgets", err)
	}
	if file, ok := loaded.(*FileWidgets); ok {
		a.file = file.Path
	}
	a.store = observe.Store{Store: store}
	return nil
}

// moduleError is the error of an option's module. It begins with what is wrong, not with
// the way to the module.
func moduleError(option string, err error) error {
	text := err.Error()
	if _, after, ok := strings.Cut(text, ": provision chat_identity."); ok {
		_, text, _ = strings.Cut(after, ": ")
	}
	switch {
	case strings.Contains(text, "module name not specified"): // it quotes all, a password included
		text = `"store" is missing, as in {"store": "redis", "url": "…"}`
	case strings.Contains(text, "Go value of type map"):
		text = `this takes an object, as in {"store": "redis", "url": "…"}`
	}
	return fmt.Errorf("%s (%s)", text, option)
}

// defaultStale is how long a known widget is served while its store is away.
const defaultStale = time.Minute

func (a *App) provisionCache() error {
	a.Cache = cmp.Or(a.Cache, widgets.DefaultCache)
	if a.Cache < widgets.MinCache || a.Cache > maxCache {
		return fmt.Errorf("cache: %d bytes is not from 1 MiB to 1 TiB", a.Cache)
	}
	size := strconv.FormatInt(a.Cache, 10)
	if err := a.sharedKeys.take(size, func() (*widgets.Keys, error) { return widgets.NewKeys(a.Cache, time.Now, verdicts) }); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	a.opener = a.sharedKeys.shared
	return nil
}

// newTraffic returns a constructor of request counts by that clock.
func newTraffic(clock func() time.Time) func() (*traffic.Traffic, error) {
	return func() (*traffic.Traffic, error) {
		counts := traffic.New(clock)
		counts.Start()
		return counts, nil
	}
}

// maxCache bounds the configured cache, in bytes: more is a typo.
const maxCache = 1 << 40

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
