package caddymodule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// holding is an entry of the ledger that depends on what becomes of the request
// at the upstream.
type holding struct {
	key    ledger.Key
	holder ledger.Holder
	share  ledger.Share
	until  time.Time     // when the entry ends, unless it is confirmed
	keep   time.Duration // how long it is kept from then on
}

// newHolding returns what a user of a widget names by that name, of a kind.
func newHolding(kind string, w *widget, name []byte, of *verifier.Identity, limit int, keep time.Duration) *holding {
	user := []byte(of.User())
	return &holding{
		key:    ledgerDigest(kind, w.id, name),
		holder: ledgerDigest(kindUser, w.id, user),
		share:  ledger.Share{Owner: ledgerDigest(sharedBy[kind], w.id, user), Limit: limit},
		keep:   keep,
	}
}

// pending is what of a request is open until the upstream answers.
type pending struct {
	conversation *holding
	visitor      *holding
}

// What a ledger's keys and holders are digests of. A digest of one kind is none
// of another.
const (
	kindSignature     = "signature"            // widget, digest that was signed
	kindConversation  = "conversation"         // widget, conversation
	kindVisitor       = "visitor"              // widget, visitor
	kindUser          = "user"                 // widget, user
	kindConversations = "conversations of"     // widget, user
	kindVisitors      = "visitors merged into" // widget, user
)

// sharedBy are the kinds of what a user's share of another kind is counted under.
var sharedBy = map[string]string{kindConversation: kindConversations, kindVisitor: kindVisitors}

// ledgerDigest returns the SHA-256 of a kind and two parts of it, each behind its
// length: no two splits of a text are one digest.
func ledgerDigest(kind string, widget string, part []byte) [32]byte {
	var room [256]byte // most ids fit
	text := append(room[:0], kind...)
	text = append(text, 0)
	text = binary.BigEndian.AppendUint32(text, uint32(len(widget)))
	text = append(text, widget...)
	return sha256.Sum256(append(text, part...))
}
