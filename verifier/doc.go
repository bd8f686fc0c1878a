// Package verifier decides whether the identity that a chat widget's browser
// claims was signed by the customer's server.
//
// It is pure: bytes, keys and a clock go in, a [Reason] comes out. A [reader]
// finds the fields of a claim in a request's body, query, headers and cookies
// and refuses every spelling that two parsers could read in two ways; a
// [Verifier] checks the shape of what was found, its signature (HMAC-SHA256,
// RFC 2104) and its age. A [Dialect] says where a chat product puts the fields
// and what exactly it signs.
//
// Every way to fail has one sentinel error and one bounded [Reason].
package verifier
