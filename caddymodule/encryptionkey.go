package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// dataPath is where this module keeps a file unless told otherwise.
func dataPath(name string) string {
	return filepath.Join(caddy.AppDataDir(), "chat_identity", name)
}

// madeKeyPath is the file of the encryption key that is made where none is configured.
func madeKeyPath() string { return dataPath("encryption.key") }

// provisionKeys reads the encryption keys, but makes none.
func (a *App) provisionKeys() error {
	var keys []widgets.EncryptionKey
	for i, written := range a.EncryptionKeys {
		text, literal, err := resolveText(written)
		if err != nil {
			return fmt.Errorf("encryption_key %d: %w", i+1, err)
		}
		key, err := parseEncryptionKey(text)
		if err != nil {
			return fmt.Errorf("encryption_key %d: %w", i+1, err)
		}
		if literal {
			warnLiteral(a.log, zap.String("encryption_key", key.ID()))
		}
		for _, other := range keys {
			if other.ID() == key.ID() {
				return fmt.Errorf("encryption_key %d: the same key is repeated", i+1)
			}
		}
		keys = append(keys, key)
	}
	a.EncryptionKeys = nil // as the secrets of widgets
	a.configured = len(keys) > 0
	if len(keys) == 0 {
		key, err := readMadeKey()
		switch {
		case err == nil:
			keys = append(keys, key)
			a.warnReadable()
		case !errors.Is(err, fs.ErrNotExist):
			// Widgets that need it will be unavailable, the others work.
			a.log.Error("the encryption key in Caddy's data directory cannot be used", zap.Error(err))
		}
	}
	a.ring.Store(widgets.NewRing(keys...))
	return nil
}

// parseEncryptionKey adds to an error how to get a key.
func parseEncryptionKey(text string) (widgets.EncryptionKey, error) {
	key, err := widgets.ParseEncryptionKey(text)
	if err != nil {
		err = fmt.Errorf("%w: 'caddy chat-identity keygen --encryption-key' makes one", err)
	}
	return key, err
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
		return key, fmt.Errorf("%s: %w: restore it from a backup, without which no stored secret can be opened", madeKeyPath(), err)
	}
	return key, nil
}

// warnReadable warns of a made key that others can read.
func (a *App) warnReadable() {
	if info, err := os.Stat(madeKeyPath()); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		a.log.Warn("the encryption key can be read by other users: chmod 600", zap.String("file", madeKeyPath()))
	}
}

// ensureRing makes an encryption key where there is none, and keeps it in
// Caddy's data directory.
func (a *App) ensureRing() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.configured {
		return nil
	}
	// A key that is made beside secrets which it does not open would hide that
	// theirs is lost, or that another gateway of the same store has its own.
	if err := a.store.Err(); err != nil && !errors.Is(err, widgets.ErrUnwritable) {
		return err
	}
	for keyID := range a.store.KeyIDs() {
		if !a.ring.Load().Has(keyID) {
			return fmt.Errorf("%w of this store's: encryption key %s is missing: restore %s from a backup, "+
				"or configure encryption_key with that key", widgets.ErrNoKey, keyID, madeKeyPath())
		}
	}
	if a.ring.Load() != nil {
		return nil
	}
	key, made, err := makeKey()
	if err != nil {
		return fmt.Errorf("making an encryption key in %s: %w", filepath.Dir(madeKeyPath()), err)
	}
	a.ring.Store(widgets.NewRing(key))
	if made {
		a.log.Warn("no encryption_key is configured, so one was made: back this file up, apart from the widgets. "+
			"Without it no stored secret can be opened",
			zap.String("file", madeKeyPath()), zap.String("encryption_key", key.ID()))
	}
	return nil
}

// makeKey returns the key in the data directory, which it makes if need be. Of
// several processes that try at once, one makes it and all use that.
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

// whereKeyIs says what an operator can do about a missing encryption key.
func (a *App) whereKeyIs(keyID string) string {
	if key, err := readMadeKey(); err == nil && key.ID() == keyID {
		return fmt.Sprintf("add the key in %s to encryption_key, behind the first", madeKeyPath())
	}
	return "add the encryption key of that id to encryption_key, behind the first"
}
