package caddymodule

import (
	"crypto/sha256"
	"encoding/binary"
)

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
