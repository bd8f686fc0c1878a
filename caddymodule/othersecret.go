package caddymodule

import (
	"errors"
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// maxOtherSecrets is how many keys a signature is compared with to tell whose it is.
const maxOtherSecrets = 32

// otherSecret tells whose secret has made a signature that is not the widget's, or that it is
// unknown, and "" if it was not looked at. It is for the operator's log alone, since it names other widgets. A widget's
// requests are looked at once a minute.
func (x *exchange) otherSecret() string {
	app := x.h.app
	if x.widget == nil || !app.traffic.MaySearchSecrets(x.counted) {
		return ""
	}
	others := app.opener.Others(x.widget.id, x.widget.record)
	for _, w := range app.own {
		if w.id == x.widget.id || w.kind() != widgets.Secrets {
			continue
		}
		keys, _ := w.inline.appendKeys(nil, x.plan.policy.KeyEncoding)
		for _, key := range keys {
			others = append(others, widgets.Other{Widget: w.id, Key: key})
		}
	}
	sessions := x.sessions()
	for _, other := range others[:min(len(others), maxOtherSecrets)] {
		var err error
		if x.session.counts {
			_, err = sessions.Verify(&x.reading, []*verifier.Key{other.Key}, x.plan.policy.Time())
		} else {
			_, err = x.plan.verifier.Verify(&x.reading, other.Key)
		}
		switch {
		case err != nil && !errors.Is(err, verifier.ErrExpired):
			continue
		case x.session.counts:
			return "The session was given for a claim that was signed with " + app.describe(&other) + ": its page gets a new one by itself."
		}
		if other.Widget != x.widget.id {
			return "The signature was made with " + app.describe(&other) + ": the signing server has that widget's secret, or the page names the wrong widget."
		}
		return "The signature was made with " + app.describe(&other) + ": the signing server still has the old one."
	}
	if x.session.counts {
		return ""
	}
	return "None of the common mistakes gives this signature, and no secret of another widget or retired one that was used recently: " +
		"most likely an unknown secret was used, or another text was signed."
}

// describe says which secret a key is of.
func (a *App) describe(other *widgets.Other) string {
	which := "the secret of widget %s (version %s)"
	if other.Retired {
		which = "a secret of widget %s (version %s) that was retired"
	}
	return fmt.Sprintf(which, other.Widget, other.Key.ID)
}

// retireInline remembers secrets of this configuration that the active one does not have.
func (a *App) retireInline() {
	active, err := activeApp()
	if err != nil || active == a {
		return
	}
	for _, w := range a.own {
		kept := new(inlineKeys)
		if current := active.own[w.id]; current != nil {
			kept = current.inline
		}
		for i, secret := range w.inline.secrets {
			if !kept.has(w.inline.prints[i]) {
				active.opener.Retire(widgets.Other{Widget: w.id, Key: secret.keys["text"], Retired: true})
			}
		}
	}
}
