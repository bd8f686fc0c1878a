package caddymodule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// holding is an entry of the ledger whose fate depends on the upstream's answer.
type holding struct {
	key    ledger.Key
	holder ledger.Holder
	share  ledger.Share
	until  time.Time     // when the entry ends unless it is confirmed
	keep   time.Duration // how long a confirmed one is kept
}

// newHolding returns a user's entry for something of that kind, such as a conversation,
// by the name that the request gives it.
func newHolding(kind string, w *widget, name []byte, of *verifier.Identity, limit int, keep time.Duration) *holding {
	user := []byte(of.User())
	return &holding{
		key:    ledgerDigest(kind, w.id, name),
		holder: ledgerDigest(kindUser, w.id, user),
		share:  ledger.Share{Owner: ledgerDigest(sharedBy[kind], w.id, user), Limit: limit},
		keep:   keep,
	}
}

// pending is what a request has claimed until the upstream answers.
type pending struct {
	conversation *holding
	visitor      *holding
}

// The kinds of what a ledger's keys and holders are digests of. Digests of different
// kinds differ.
const (
	kindSignature     = "signature"            // widget, digest that was signed
	kindConversation  = "conversation"         // widget, conversation
	kindVisitor       = "visitor"              // widget, visitor
	kindUser          = "user"                 // widget, user
	kindConversations = "conversations of"     // widget, user
	kindVisitors      = "visitors merged into" // widget, user
)

// sharedBy maps a kind to the kind under which a user's share of it is counted.
var sharedBy = map[string]string{kindConversation: kindConversations, kindVisitor: kindVisitors}

// ledgerDigest returns the SHA-256 of a kind, a widget and a part. The widget's length is
// included, so that no two splits of a text have the same digest.
func ledgerDigest(kind string, widget string, part []byte) [32]byte {
	var room [256]byte // most ids fit
	text := append(room[:0], kind...)
	text = append(text, 0)
	text = binary.BigEndian.AppendUint32(text, uint32(len(widget)))
	text = append(text, widget...)
	return sha256.Sum256(append(text, part...))
}
