package diagnose

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"slices"
)

// digester computes digests, and counts them.
type digester struct {
	hash  func() hash.Hash
	count int
}

func (d *digester) hmac(key, message []byte) []byte {
	d.count++
	h := hmac.New(d.hash, key)
	_, _ = h.Write(message) // a hash never returns an error
	return h.Sum(nil)
}

func (d *digester) plain(pieces ...[]byte) []byte {
	d.count++
	h := d.hash()
	for _, piece := range pieces {
		_, _ = h.Write(piece)
	}
	return h.Sum(nil)
}

func hexText(sum []byte) []byte { return []byte(hex.EncodeToString(sum)) }

// recipe is a way to make a digest of a key and a message.
type recipe struct {
	deviations []deviation
	cost       int // digests that it computes
	digest     func(d *digester, key, message []byte) []byte
}

const oneHMAC = "make one HMAC, and no hash before or after it"

var (
	keyAndMessageSwapped = deviation{"key_and_message_swapped", "key and message were swapped",
		"pass the secret as the HMAC's key and the text to sign as its message"}
	plainHash           = deviation{"plain_hash", "the message was hashed without the secret", "make an HMAC with the secret as its key"}
	plainHashWithSecret = deviation{"plain_hash_with_secret", "a plain hash was made of the secret and the message together", "make an HMAC with the secret as its key"}
	secretHashed        = deviation{"secret_hashed", "the secret was hashed before it was used as the key", useSecret}
	messageHashed       = deviation{"message_hashed", "the message was hashed before the HMAC was made", oneHMAC}
	hashedTwice         = deviation{"hashed_twice", "the digest was made a second time, of the first digest", oneHMAC}
)

// recipes begin with the right one, HMAC (RFC 2104), and then those that are also tried
// together with other messages.
var recipes = []recipe{
	{nil, 1, (*digester).hmac},
	{[]deviation{keyAndMessageSwapped}, 1, func(d *digester, key, message []byte) []byte { return d.hmac(message, key) }},
	{[]deviation{plainHash}, 1, func(d *digester, _, message []byte) []byte { return d.plain(message) }},
	hashed("", true), hashed("", false), hashed(":", true), hashed(".", true), hashed(":", false), hashed(".", false),
	{[]deviation{secretHashed}, 2, func(d *digester, key, message []byte) []byte { return d.hmac(hexText(d.plain(key)), message) }},
	{[]deviation{secretHashed}, 2, func(d *digester, key, message []byte) []byte { return d.hmac(d.plain(key), message) }},
	{[]deviation{messageHashed}, 2, func(d *digester, key, message []byte) []byte { return d.hmac(key, hexText(d.plain(message))) }},
	{[]deviation{messageHashed}, 2, func(d *digester, key, message []byte) []byte { return d.hmac(key, d.plain(message)) }},
	{[]deviation{hashedTwice}, 2, func(d *digester, key, message []byte) []byte { return d.plain(hexText(d.hmac(key, message))) }},
	{[]deviation{hashedTwice}, 2, func(d *digester, key, message []byte) []byte { return d.plain(d.hmac(key, message)) }},
	{[]deviation{hashedTwice}, 2, func(d *digester, key, message []byte) []byte { return d.hmac(key, hexText(d.hmac(key, message))) }},
	{[]deviation{hashedTwice}, 2, func(d *digester, key, message []byte) []byte { return d.hmac(key, d.hmac(key, message)) }},
	{[]deviation{plainHash, hashedTwice}, 2, func(d *digester, _, message []byte) []byte { return d.plain(hexText(d.plain(message))) }},
}

var commonRecipes = recipes[1:5]

// hashed makes a plain hash of the key, before or after, and the message.
func hashed(separator string, keyFirst bool) recipe {
	return recipe{[]deviation{plainHashWithSecret}, 1, func(d *digester, key, message []byte) []byte {
		if keyFirst {
			return d.plain(key, []byte(separator), message)
		}
		return d.plain(message, []byte(separator), key)
	}}
}

// algorithm is a hash function under the HMAC.
type algorithm struct {
	name string
	hash func() hash.Hash
	size int
	// partly says that the digest was not written as a whole, which is tried with one
	// deviation alone.
	partly     bool
	deviations []deviation
}

// algorithms begin with the right one.
var algorithms = []algorithm{
	{name: "SHA-256", hash: sha256.New, size: sha256.Size},
	otherAlgorithm("sha1", "SHA-1", sha1.New, sha1.Size),
	otherAlgorithm("sha512", "SHA-512", sha512.New, sha512.Size),
	otherAlgorithm("sha384", "SHA-384", sha512.New384, sha512.Size384),
	otherAlgorithm("sha224", "SHA-224", sha256.New224, sha256.Size224),
	otherAlgorithm("md5", "MD5", md5.New, md5.Size),
}

func otherAlgorithm(id, name string, make func() hash.Hash, size int) algorithm {
	return algorithm{name, make, size, false, []deviation{{id, "the digest was made with " + name, "use HMAC-SHA256"}}}
}

// fitting returns those of the algorithms that give a digest of the length that was
// written, and then the first, if its digest may have been written with another length.
func (w *parsedSignature) fitting(all []algorithm) (fitting []algorithm) {
	right := all[0]
	whole := w.encodedLen(right.size)
	for _, a := range all {
		if w.encodedLen(a.size) == len(w.text) {
			fitting = append(fitting, a)
		}
	}
	if len(w.text) < whole || w.hex && len(w.text) > whole {
		right.partly = true
		fitting = append(fitting, right)
	}
	return fitting
}

// hmacs are the algorithms of secrets, the one that the header names first.
func hmacs(name string) (all []algorithm) {
	for _, h := range []algorithm{{name: "HS256", hash: sha256.New, size: sha256.Size}, {name: "HS384", hash: sha512.New384, size: sha512.Size384}, {name: "HS512", hash: sha512.New, size: sha512.Size}} {
		if h.name != name {
			h.deviations = []deviation{signedBy(h.name, name)}
		}
		all = append(all, h)
	}
	slices.SortStableFunc(all, func(a, b algorithm) int { return len(a.deviations) - len(b.deviations) })
	return append(all, algorithms[1:]...)
}
