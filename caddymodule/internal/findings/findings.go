// Package findings is what loads but is unlikely to be meant. The log warns of it when a
// configuration starts, and "caddy chat-identity check" prints it.
package findings

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// Kind is the name of a kind of finding. docs/operations.md has a table of them.
type Kind string

// Remedies say what to do about each kind.
var Remedies = make(map[Kind]string)

// The kinds.
var (
	ProxyBefore       = kind("proxy_before", "Write chat_identity before the proxy, or take the 'order' option out")
	ProxyUnprotected  = kind("proxy_unprotected", "Move chat_identity to site level, or add 'chat_identity off' to the other blocks")
	ErrorsUnprotected = kind("errors_unprotected", "Add 'chat_identity off' to handle_errors")
	SubrequestBefore  = kind("subrequest_before", "Put both in a route block, chat_identity first")
	EarlyMatcher      = kind("early_matcher", "Use the matcher after chat_identity")
	NeverDecides      = kind("never_decides", "Remove one of the two, or narrow the matcher of the earlier one")
	NeverMatches      = kind("never_matches", "Correct its matcher, or write chat_identity before what answers or changes the path")
	Overlap           = kind("overlap", "Narrow one matcher if that is not intended")
	PathTaken         = kind("path_taken", "Give it another path, or exclude it from what comes first by a matcher")
	HeaderCopied      = kind("header_copied", "Copy it after chat_identity, as by 'header_up' in reverse_proxy, or let 'header' of chat_identity rename it")
	HeaderOverwritten = kind("header_overwritten", "Remove that option: reverse_proxy sends the header on as it is; 'header' of chat_identity renames it")
	NotAsserted       = kind("not_asserted", "Remove 'assertion', or what keeps it from requests")
	NoCORS            = kind("no_cors", "Add 'cors' with the origins of the pages")
	ErrorUnhandled    = kind("error_unhandled", "Add handle_errors, or remove 'refuse error'")
	NoDirective       = kind("no_directive", "Add the directive chat_identity to a site")
	WidgetUnreachable = kind("widget_unreachable", "Add 'widget {header.NAME}' to the directive so that requests can name it, or remove the widget")
	DialectRefused    = kind("dialect_refused", "Take the dialect out of the widget, or give it a directive without 'claim', 'message', 'encoding' and one_time")
	SecretRefused     = kind("secret_refused", "Name an HS algorithm in the token block, or create the widget with 'caddy chat-identity create <id> --public-key'")
	WidgetUnstored    = kind("widget_unstored", "Create it with 'caddy chat-identity create <id>'")
	WidgetShadowed    = kind("widget_shadowed", "Delete the stored one, or remove the one in the configuration")
	KeyMissing        = kind("key_missing", "Configure the key that is missing")
	KeyReadable       = kind("key_readable", "chmod 600")
	SecretLiteral     = kind("secret_literal", "Write {env.NAME} or {file.PATH} instead")
	SecretDoubtful    = kind("secret_doubtful", "Correct the variable or file")
	SecretUndecoded   = kind("secret_undecoded", "Write the secret in that encoding, or correct key_encoding")
	ValueTiny         = kind("value_tiny", "Write a unit, as in 64MiB or 5m")
	UploadTooLarge    = kind("upload_too_large", "Raise max_spool to at least eight times max_upload, or lower max_upload")
	SpoolInMemory     = kind("spool_in_memory", "Name a folder on a disk with spool, or lower max_spool")
	ClaimsKept        = kind("claims_kept", "Remove 'unverified keep' unless the upstream reads X-Verified-User alone")
	HashIsToken       = kind("hash_is_token", "Write 'proof signature' where no tokens are sent yet. Else have them signed by HS512 and write 'algorithm HS512'; or write 'proof token', with a secret that has signed no ids")
	TokenForever      = kind("token_forever", "Have the signing server set exp, and remove no_expiry")
	SessionUngiven    = kind("session_ungiven", "Add 'identify' to this directive, or to another one with 'session' that serves the same widget")
	SessionRules      = kind("session_rules", "Make these alike, or give each directive a widget of its own")
	SessionUntaken    = kind("session_untaken", "Add 'session' to this directive, too, unless each of its requests is to have a claim")
	SessionRemoved    = kind("session_removed", "Remove that option: chat_identity removes the header itself, once it has read it")
	SessionKeyLocal   = kind("session_key_local", "Configure an encryption_key, the same for all gateways")
	FileDamaged       = kind("file_damaged", "Restore it from a backup, or correct the path")
	FileUnwritable    = kind("file_unwritable", "Let the user that Caddy runs as write there")
)

func kind(name Kind, remedy string) Kind {
	Remedies[name] = remedy
	return name
}

// Finding is one thing that is unlikely to be meant.
type Finding struct {
	Kind   Kind   `json:"kind"`
	Line   string `json:"line,omitempty"` // in the Caddyfile, such as Caddyfile:12
	Site   string `json:"site,omitempty"` // as the Caddyfile names it
	Text   string `json:"text"`           // what is wrong
	Remedy string `json:"remedy"`         // what to do
}

// New returns a finding with the remedy of its kind.
func New(kind Kind, text string) Finding {
	return Finding{Kind: kind, Text: text, Remedy: Remedies[kind]}
}

// At returns the finding with its place.
func (f Finding) At(line, site string) Finding {
	f.Line, f.Site = line, site
	return f
}

// Advise replaces the remedy. The text may begin in lower case, for use within a sentence.
func (f *Finding) Advise(remedy string) {
	f.Remedy = strings.ToUpper(remedy[:min(1, len(remedy))]) + remedy[min(1, len(remedy)):]
}

// Log warns of a finding.
func (f Finding) Log(log *zap.Logger) {
	fields := []zap.Field{zap.String("finding", string(f.Kind))}
	if f.Line != "" {
		fields = append(fields, zap.String("line", f.Line))
	}
	if f.Site != "" {
		fields = append(fields, zap.String("site", f.Site))
	}
	log.Warn(f.String(), fields...)
}

// String returns what is wrong and what to do.
func (f Finding) String() string { return strings.TrimSuffix(f.Text, ".") + ". " + f.Remedy }

// Report is all that was found in a configuration.
type Report struct {
	Findings []Finding `json:"findings"`
	// Required are the sites and inline widgets in required mode, whose readiness only the
	// running gateway knows.
	Required []string `json:"required"`
	// Error is why the configuration does not load, so that nothing more is known.
	Error string `json:"error,omitempty"`
}

// Sort sorts by lines.
func (r *Report) Sort() {
	slices.Sort(r.Required)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		fileA, lineA := split(a.Line)
		fileB, lineB := split(b.Line)
		return cmp.Or(strings.Compare(fileA, fileB), lineA-lineB, strings.Compare(a.Site, b.Site))
	})
}

func split(line string) (file string, number int) {
	i := strings.LastIndexByte(line, ':')
	if i < 0 {
		return line, 0
	}
	number, _ = strconv.Atoi(line[i+1:]) // written by the adapter
	return line[:i], number
}
