package caddymodule

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/cors"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/sites"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler verifies who is chatting, from the user id and HMAC signature that a chat widget sends with its requests.
//
// It reads the claim from a request's body, query, headers or cookies as a chat product's dialect defines, checks it
// with the widget's secret, and either refuses the request or tells the upstream the user in `X-Verified-User`. In every
// mode, headers of that kind that the client sent are removed first, and a CONNECT that opens no WebSocket is refused.
//
// Placeholders are available to later handlers:
//
// Placeholder | Description
// ------------|------------
// `{http.chat_identity.outcome}` | `disabled`, `anonymous`, `verified`, `invalid`, `expired`, `replayed`, `unavailable` or `malformed`
// `{http.chat_identity.reason}` | Why the request is not verified
// `{http.chat_identity.user}` | The verified user's id
// `{http.chat_identity.widget}` | The id of the request's widget, whether or not it verified
// `{http.chat_identity.mode}` | The mode that was applied
// `{http.chat_identity.dialect}` | The dialect that was read
// `{http.chat_identity.proof}` | What proved the verified user: `signature`, `token` or `session`
// `{http.chat_identity.email}` | The verified user's e-mail address: the token's, else as the browser gave it
// `{http.chat_identity.name}` | The verified user's name: the token's, else as the browser gave it
// `{http.chat_identity.attributes.*}` | One of the verified user's attributes: the token's if it has any, else as the browser gave it
type Handler struct {
	// Makes this handler a guard: it strips the headers reserved for this module, refuses CONNECT and answers `identify`
	// and `jwks_path` of the handlers beside it, but never decides a request. For a directive with a matcher the Caddyfile
	// adapter adds a second route, without a matcher, that holds a guard. In JSON, add one yourself behind each route with
	// a matcher. Default: false.
	Guard bool `json:"guard,omitempty"`

	// What happens to a request that is not verified: `off` verifies nothing, `optional` forwards it without its claim,
	// `required` refuses it. A widget's own mode may be stricter, not laxer. Default: the widget's, else `optional`.
	Mode widgets.Mode `json:"mode,omitempty"`

	// The chat product whose requests these are, such as `nextcap` or `zendesk`: docs/dialects.md lists them, and an
	// unknown one is refused with the list. A widget's own dialect wins. Default: `bookbag`.
	Dialect string `json:"dialect,omitempty"`

	// The id of the request's widget, or a text with placeholders such as `{http.request.header.X-Widget-Key}`.
	Widget string `json:"widget,omitempty"`

	// Where the widget's id is in a JSON body, as a JSON pointer (RFC 6901) from the document's root.
	WidgetBody string `json:"widget_body,omitempty"`

	// Where the widget's id is in a token, as a JSON pointer into its claims. It only chooses the widget, whose key then
	// verifies that token.
	WidgetToken string `json:"widget_token,omitempty"`

	// Secrets of this handler's only widget, current first; the rest still verify. The widget is named by `widget`,
	// else `default`; handlers with different secrets need different names. Each secret has at least 16 bytes. A value
	// that is one `{env.NAME}` or `{file.PATH}` placeholder is resolved when the configuration is loaded; what looks
	// like the name of a variable that was not replaced is refused.
	Secrets []string `json:"secrets,omitempty"`

	// Places that replace the dialect's, in the order given: the first for a field replaces, further ones add.
	Claims []ClaimPlace `json:"claims,omitempty"`

	// The object in the body that the dialect's and the claims' pointers start from, as a JSON pointer. Default: the root.
	At string `json:"at,omitempty"`

	// Which proofs count, where a dialect has both a signature and a token: `any`, `signature` or `token`. Default: `any`.
	Proof string `json:"proof,omitempty"`

	// What a token must look like. Each of its options replaces the dialect's. Default: the dialect's.
	Token *Token `json:"token,omitempty"`

	// How the text of a secret writes the bytes of the key: `text`, `hex`, `base64` or `base64url`. Default: the dialect's,
	// else `text`.
	KeyEncoding string `json:"key_encoding,omitempty"`

	// Public keys in PEM, or `{file.PATH}` of one, with which this handler's only widget verifies tokens, in place of
	// `secrets`. Default: none.
	PublicKeys []string `json:"public_keys,omitempty"`

	// The https URL or the file of a JSON Web Key Set (RFC 7517) with which this handler's only widget verifies tokens.
	// Default: none.
	JWKS string `json:"jwks,omitempty"`

	// What is signed, made of `{user_id}`, `{email}`, `{timestamp}`, `{nonce}` and literal text. Default: the dialect's.
	Message string `json:"message,omitempty"`

	// How the signature is written: `hex`, `base64` or `base64url`. Default: `hex`.
	Encoding string `json:"encoding,omitempty"`

	// How old a signed timestamp may be. Default: 5m.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// How far ahead a signed timestamp may be; 0 allows no difference between clocks. Default: 30s.
	Skew *caddy.Duration `json:"skew,omitempty"`

	// The unit of a signed timestamp: `seconds` or `milliseconds`. Default: either, told apart by the number of digits.
	TimestampUnit string `json:"timestamp_unit,omitempty"`

	// The length of a signed nonce, in characters. Default: 32.
	NonceLength int `json:"nonce_length,omitempty"`

	// Accepts each signature once. It needs a signed timestamp, so that used signatures need not be remembered forever.
	// Default: false.
	OneTime bool `json:"one_time,omitempty"`

	// Where a request names its conversation, which belongs to the first verified user to name it. Default: nowhere.
	Conversation *Conversation `json:"conversation,omitempty"`

	// Where a request names the anonymous visitor that its user was before. The upstream is told to merge the two until it
	// has confirmed that. Default: nowhere.
	Visitor *Naming `json:"visitor,omitempty"`

	// A path at which the handler itself answers who the caller is, whatever the matcher. Default: none.
	Identify string `json:"identify,omitempty"`

	// The lifetime of sessions, 1m to 24h in whole seconds. `identify` gives one for a verified claim, and it proves the same
	// user of the same widget in place of a claim, in the header `X-Chat-Session` or the query parameter `chat_session`.
	// Default: none are given or taken.
	Session caddy.Duration `json:"session,omitempty"`

	// How a request is refused: `problem` answers with a problem document (RFC 9457), `error` raises an error for
	// `handle_errors`. Default: `problem`.
	Refuse string `json:"refuse,omitempty"`

	// What happens to a claim that is not verified: `strip` cuts the user id, signature, timestamp and nonce out of the
	// request, `keep` leaves them to an upstream that must not believe them. Default: `strip`.
	Unverified string `json:"unverified,omitempty"`

	// Further fields that are cut out of an unverified claim: `email`, `name`, `phone`, `company`, `attributes`. For
	// upstreams that find a contact by them. Default: none.
	UnverifiedFields []string `json:"unverified_fields,omitempty"`

	// The maximum size of a JSON or URL-encoded body that is read for a claim, and of the fields of a multipart one, in
	// bytes. Bodies that are not read have no limit. Default: 1 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// The maximum size of a multipart body that is read for a claim, files included, in bytes. Default: 64 MiB.
	MaxUpload int64 `json:"max_upload,omitempty"`

	// Statuses that replace the default ones, by reason: `missing`, `partial`, `invalid`, `ambiguous`, `expired`,
	// `replayed`, `conversation_claimed`, `widget_unknown`, `unavailable`, `malformed`, `too_large` or `unsupported`. They hold in optional mode, too.
	// Default: the table in the project's docs/backends.md.
	Reject map[string]int `json:"reject,omitempty"`

	// Names of the headers for the upstream, or `off`. Default: `user`: `X-Verified-User`, `widget`:
	// `X-Verified-Widget`, `outcome`: `X-Identity-Outcome`, `reason`: `X-Identity-Reason`, `email`: `X-Identity-Email`,
	// `name`: `X-Identity-Name`, `attributes`: `X-Identity-Attributes`, `verified_email`: `X-Verified-Email`,
	// `verified_name`: `X-Verified-Name`, `verified_attributes`: `X-Verified-Attributes`, `assertion`: `X-Verified-Assertion`,
	// `merge_from`: `X-Identity-Merge-From`.
	Headers map[string]string `json:"headers,omitempty"`

	// Origins whose scripts may read this module's own answers, as browsers send them: `https://www.example.com`, without
	// path or default port, IDN in punycode; or `*`. Default: none.
	CORS cors.Origins `json:"cors,omitempty"`

	// Has requests go on with an assertion in `X-Verified-Assertion`, a JSON Web Token that the gateway signs for this
	// audience. It says what was found, so that a backend need not believe headers. Default: none.
	Assertion string `json:"assertion,omitempty"`

	// A path at which the handler itself answers with the public keys of assertions, whatever the matcher. Default: none.
	JWKSPath string `json:"jwks_path,omitempty"`

	// The longest that a verified WebSocket or event stream may stay open. Default: no limit.
	StreamLifetime caddy.Duration `json:"stream_lifetime,omitempty"`

	// Where a Caddyfile has this directive, such as `Caddyfile:12`, for messages. The adapter sets it. Default: none.
	Line string `json:"line,omitempty"`

	own     string           // see ownOption
	plan    *plan            // of the handler's dialect
	plans   map[string]*plan // of the dialects that widgets may have
	app     *App
	single  *widget        // the handler's only widget, if it is in the configuration
	literal []byte         // the id of its only widget, if that is in the store
	named   *naming.Text   // how requests name their widget, if by placeholders
	texts   []*naming.Text // how requests name conversation and visitor, if by placeholders
	ledger  ledger.Ledger  // nil if it is not needed
	// widgetInClaim says that the widget's id is read with the claim.
	widgetInClaim bool
	widgetText    *verifier.TokenText // where a token names the widget, if it does
	stripped      []verifier.Field    // UnverifiedFields
	names         [numHeaders]string  // of the headers for the upstream, "" for off
	// renamed are the names that ours are renamed to: by this handler, and once the app
	// has read the sites, by any handler of its site.
	renamed []hop.Header
	// answering are the handlers whose identify and jwks_path this one answers: itself, and once
	// the app has started, those beside it in its list of routes.
	answering []*Handler
	// sessions is where sessions are, nil if none are taken; sessionHeaders are the headers
	// among it, and once the app has read the sites, those of all handlers of its site.
	sessions       *intake.Places
	sessionHeaders []hop.Header
	site           string         // its hosts and paths, for messages
	address        sites.Address  // for code that calls it
	place          *sites.Handler // what the app has learned from the sites; nil before
	log            *logger
}

// Token is what a signed token (RFC 7519) must look like.
type Token struct {
	// The algorithms that may have signed it, all of one kind of key: `HS256`, `HS384`, `HS512`, `RS256`, `RS384`, `RS512`,
	// `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `ES512` or `EdDSA`. Default: `HS256`.
	Algorithms []string `json:"algorithms,omitempty"`

	// Where the user's id is among the token's claims, as JSON pointers: the first that is there. Default: `/sub`.
	UserID []string `json:"user_id,omitempty"`

	// Where the token has what it signs with the user, as JSON pointers. Default: nowhere.
	Email   string `json:"email,omitempty"`
	Name    string `json:"name,omitempty"`
	Phone   string `json:"phone,omitempty"`
	Company string `json:"company,omitempty"`

	// Where the token has attributes: a JSON pointer to an object, or `rest` for all claims that are neither registered
	// (RFC 7519) nor named here. Default: nowhere.
	Attributes string `json:"attributes,omitempty"`

	// Claims that must have one of these values, or be a list that holds one, by JSON pointer.
	Require map[string][]string `json:"require,omitempty"`

	// Claims that must not be there, as JSON pointers.
	Forbid []string `json:"forbid,omitempty"`

	// How far from now a token may expire. Default: 24h.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`

	// Accepts a token that never expires, too. Default: false.
	NoExpiry bool `json:"no_expiry,omitempty"`
}

// Naming is where a request names something: in a text with placeholders, or in a place.
type Naming struct {
	// A text with placeholders, such as `{http.request.header.X-Conversation}`.
	Text string `json:"text,omitempty"`

	// `body`, `query`, `header` or `cookie`.
	Location string `json:"location,omitempty"`

	// In a body a JSON pointer from the document's root, whose last part is the name in form bodies; else the
	// parameter's, header's or cookie's name.
	Name string `json:"name,omitempty"`
}

// ClaimPlace is where a field of the claim travels.
type ClaimPlace struct {
	// `user_id`, `signature`, `timestamp`, `nonce`, `token`, `session`, `email`, `name`, `attributes`, `phone` or `company`.
	Field string `json:"field"`

	ElsePlace

	// Further places for the field, in order of preference: the first that has it counts.
	Else []ElsePlace `json:"else,omitempty"`
}

// ElsePlace is where a field travels if no earlier place has it.
type ElsePlace struct {
	// `body`, `query`, `header` or `cookie`.
	Location string `json:"location"`

	// In a body a JSON pointer, whose last part is the name in form bodies; else the parameter's, header's or cookie's name.
	Name string `json:"name"`

	// A JSON pointer to the field in the JSON text that is at `name`; in a JSON body that is an object. Default: `name` is
	// the field itself.
	Within string `json:"within,omitempty"`

	// The JSON text is written in base64.
	Base64 bool `json:"base64,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.chat_identity",
		New: func() caddy.Module { return new(Handler) },
	}
}
