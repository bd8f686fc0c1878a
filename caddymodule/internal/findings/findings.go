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

// Kind is a kind of finding. docs/operations.md has a table of them.
type Kind string

// The kinds.
const (
	ProxyBefore       Kind = "proxy_before"
	ProxyUnprotected  Kind = "proxy_unprotected"
	ErrorsUnprotected Kind = "errors_unprotected"
	SubrequestBefore  Kind = "subrequest_before"
	EarlyMatcher      Kind = "early_matcher"
	NeverDecides      Kind = "never_decides"
	Overlap           Kind = "overlap"
	HeaderCopied      Kind = "header_copied"
	HeaderOverwritten Kind = "header_overwritten"
	NoCORS            Kind = "no_cors"
	ErrorUnhandled    Kind = "error_unhandled"
	NoDirective       Kind = "no_directive"
	WidgetUnreachable Kind = "widget_unreachable"
	WidgetUnstored    Kind = "widget_unstored"
	WidgetShadowed    Kind = "widget_shadowed"
	KeyMissing        Kind = "key_missing"
	KeyReadable       Kind = "key_readable"
	SecretLiteral     Kind = "secret_literal"
	SecretDoubtful    Kind = "secret_doubtful"
	ValueTiny         Kind = "value_tiny"
	UploadTooLarge    Kind = "upload_too_large"
	SpoolInMemory     Kind = "spool_in_memory"
	ClaimsKept        Kind = "claims_kept"
	FileUnwritable    Kind = "file_unwritable"
)

// Remedies say what to do about each kind.
var Remedies = map[Kind]string{
	ProxyBefore:       "Write chat_identity before the proxy, or take the 'order' option out",
	ProxyUnprotected:  "Move chat_identity to site level, or add 'chat_identity off' to the other blocks",
	ErrorsUnprotected: "Add 'chat_identity off' to handle_errors",
	SubrequestBefore:  "Put both in a route block, chat_identity first",
	EarlyMatcher:      "Use the matcher after chat_identity",
	NeverDecides:      "Remove it, write it first, or narrow the matcher of the earlier one",
	Overlap:           "Narrow one matcher if that is not intended",
	HeaderCopied:      "Copy it after chat_identity, as by 'header_up' in reverse_proxy, or let 'header' of chat_identity rename it",
	HeaderOverwritten: "Remove that line: reverse_proxy sends the header on as it is; 'header' of chat_identity renames it",
	NoCORS:            "Add 'cors' with the origins of the pages",
	ErrorUnhandled:    "Add handle_errors, or remove 'refuse error'",
	NoDirective:       "Add the directive chat_identity to a site",
	WidgetUnreachable: "Add 'widget {header.NAME}' to the directive so that requests can name it, or remove the widget",
	WidgetUnstored:    "Create it with 'caddy chat-identity create <id>'",
	WidgetShadowed:    "Delete the stored one, or remove the one in the configuration",
	KeyMissing:        "Configure the key that is missing",
	KeyReadable:       "chmod 600",
	SecretLiteral:     "Write {env.NAME} or {file.PATH} instead",
	SecretDoubtful:    "Correct what sets the variable",
	ValueTiny:         "Write a unit, as in 64MiB or 5m",
	UploadTooLarge:    "Raise max_spool to at least eight times max_upload, or lower max_upload",
	SpoolInMemory:     "Name a folder on a disk with spool, or lower max_spool",
	ClaimsKept:        "Remove 'unverified keep' unless the upstream reads X-Verified-User alone",
	FileUnwritable:    "Let the user that Caddy runs as write there",
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
