package caddymodule

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// dataPath is where this module keeps a file unless configured otherwise.
func dataPath(name string) string {
	return filepath.Join(caddy.AppDataDir(), "chat_identity", name)
}

// madeKeyPath is the file of the encryption key that is created if none is configured.
func madeKeyPath() string { return dataPath("encryption.key") }

// provisionKeys reads the encryption keys. It creates none.
func (a *App) provisionKeys() error {
	var keys []widgets.EncryptionKey
	for i, written := range a.EncryptionKeys {
		text, literal, err := resolveText(written)
		var key widgets.EncryptionKey
		if err == nil {
			key, err = parseEncryptionKey(text)
			err = from(secretNoun, written, err)
		}
		if err != nil {
			return fmt.Errorf("%w (encryption_key%s)", err, numbered(i, len(a.EncryptionKeys)))
		}
		if literal {
			a.find(findings.SecretLiteral, "encryption key "+key.ID()+" is written into the configuration, where Caddy's admin API and autosave.json show it")
		}
		if slices.ContainsFunc(keys, func(other widgets.EncryptionKey) bool { return other.ID() == key.ID() }) {
			return fmt.Errorf("encryption_key %d: the same key is repeated", i+1)
		}
		keys = append(keys, key)
	}
	a.EncryptionKeys = nil // Caddy's request trace prints exported fields
	a.configured = len(keys) > 0
	if len(keys) == 0 {
		key, err := readMadeKey()
		switch {
		case err == nil:
			keys = append(keys, key)
			a.warnReadable()
		case !errors.Is(err, fs.ErrNotExist):
			// Only widgets that need it will be unavailable.
			a.log.Error("the encryption key in Caddy's data directory cannot be used", zap.Error(err))
		}
	}
	a.ring.Store(widgets.NewRing(keys...))
	return nil
}

// parseEncryptionKey is [widgets.ParseEncryptionKey], and says what the text is instead. It
// advises no new key where there may be an old one, without which stored secrets are lost.
func parseEncryptionKey(text string) (widgets.EncryptionKey, error) {
	key, err := widgets.ParseEncryptionKey(text)
	if err == nil {
		return key, nil
	}
	if err := secrettext.Check(text); err != nil {
		return key, err
	}
	const ofKey = 32
	what := "write the key as it was created"
	if _, err := base64.RawStdEncoding.DecodeString(text); err == nil && len(text) == 43 {
		what = "the '=' at its end is missing"
	} else if raw, err := hex.DecodeString(text); err == nil && len(raw) == ofKey {
		what = "it is hexadecimal: 'xxd -r -p | base64' converts it"
	} else if strings.ContainsAny(text, "-_") && len(strings.TrimRight(text, "=")) == 43 {
		what = "it is base64url: replace each - by +, each _ by /, and let it end in '='"
	}
	return key, errors.New("this is not an encryption key, the base64 of 32 bytes in 44 characters: " + what +
		". Only for a store without secrets, 'caddy chat-identity keygen --encryption-key' creates another")
}

func readMadeKey() (widgets.EncryptionKey, error) {
	content, err := os.ReadFile(madeKeyPath())
	if err != nil {
		return widgets.EncryptionKey{}, err
	}
	var key widgets.EncryptionKey
	text := strings.TrimSpace(string(content))
	if err = secrettext.Check(text); err == nil {
		key, err = widgets.ParseEncryptionKey(text)
	}
	if err != nil {
		return key, fmt.Errorf("%s: %w: restore it from a backup, without which no stored secret can be decrypted", madeKeyPath(), err)
	}
	return key, nil
}

// warnReadable warns about a created key that other users can read.
func (a *App) warnReadable() {
	if info, err := os.Stat(madeKeyPath()); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		a.find(findings.KeyReadable, "the encryption key in "+madeKeyPath()+" can be read by other users")
	}
}

// ensureRing creates an encryption key in Caddy's data directory if there is none.
func (a *App) ensureRing() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.configured {
		return nil
	}
	// A new key beside secrets that it does not decrypt would hide that theirs is lost,
	// or that another gateway of the same store has its own.
	if err := a.store.Err(); err != nil && !errors.Is(err, widgets.ErrUnwritable) {
		return err
	}
	for keyID := range a.store.KeyIDs() {
		if !a.ring.Load().Has(keyID) {
			lost := admin.RotateLost
			if a.keyIDs()[keyID] == 0 {
				lost = admin.ReplaceLost
			}
			return fmt.Errorf("%w of this store's: encryption key %s is missing: %s", widgets.ErrNoKey, keyID, a.whereKeyIs(keyID, lost))
		}
	}
	if a.ring.Load() != nil {
		return nil
	}
	if a.offline {
		return fmt.Errorf("%w at %s, and a command creates none: configure encryption_key, or start the gateway, which creates one. "+
			"If it has, it runs as another user: run the command as that user", widgets.ErrNoKey, madeKeyPath())
	}
	key, made, err := makeKey()
	if err != nil {
		return fmt.Errorf("an encryption key cannot be created in %s: %w", filepath.Dir(madeKeyPath()),
			durable.Explain(err, "make Caddy's data directory writable, or configure encryption_key"))
	}
	a.ring.Store(widgets.NewRing(key))
	if made {
		a.log.Warn("no encryption_key is configured, so one was created: back this file up, apart from the widgets. "+
			"Without it no stored secret can be decrypted",
			zap.String("file", madeKeyPath()), zap.String("encryption_key", key.ID()))
	}
	return nil
}

// makeKey returns the key in the data directory, and creates it if there is none. If
// several processes try at once, all use the one that the first has created.
func makeKey() (key widgets.EncryptionKey, made bool, err error) {
	if key, err = readMadeKey(); !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	err = durable.Create(madeKeyPath(), func(draft *os.File) error {
		_, err := draft.WriteString(widgets.NewEncryptionKey() + "\n")
		return err
	})
	if err != nil {
		return key, false, err
	}
	key, err = readMadeKey()
	return key, err == nil, err
}

// whereKeyIs tells an operator what to do about a missing encryption key: find it, or else
// what is to be done if it is lost.
func (a *App) whereKeyIs(keyID, lost string) string {
	key, err := readMadeKey()
	switch {
	case a.configured && err == nil && key.ID() == keyID:
		return fmt.Sprintf("add the key in %s to encryption_key, behind the first", madeKeyPath())
	case a.configured:
		return fmt.Sprintf("add the encryption key of that id to encryption_key, which has only %s ('caddy chat-identity keygen --id' prints a key's id), behind the first, or, "+
			"if it is lost, %s", strings.Join(a.ring.Load().IDs(), ", "), lost)
	case err == nil && key.ID() == keyID:
		return fmt.Sprintf("restart, since the key is in %s again", madeKeyPath())
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("the key may be in %s, which this process may not read: run it, or the command, as the user to whom that belongs (%s)", madeKeyPath(), durable.Owner(madeKeyPath()))
	case err == nil: // of another id, which may have encrypted secrets since
		return fmt.Sprintf("configure encryption_key with the key in %s and, behind it, the encryption key of that id, or, if that is lost, %s", madeKeyPath(), lost)
	}
	return fmt.Sprintf("put %s back from a backup and restart, or configure encryption_key with that key, or, if it is lost, with a new one "+
		"('caddy chat-identity keygen --encryption-key'), and %s", madeKeyPath(), lost)
}
