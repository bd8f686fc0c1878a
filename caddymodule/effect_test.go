package caddymodule

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// listener is what the sites of these tests have besides a path.
var listener = regexp.MustCompile(` 127\.0\.0\.1| on :\d+`)

// TestEffectiveMode: the API says how a widget's requests are treated and why, and
// requests are.
func TestEffectiveMode(t *testing.T) {
	const named = " {\nwidget {header.X-Widget-Key}\n}\n"
	const own = " {\nsecret {env.TEST_SECRET}\n}\n"
	for _, c := range []struct {
		name, site, id, create string
		mode, from, why        string
	}{
		{"default", "chat_identity /a" + named, "shop", `{"id":"shop"}`, "optional", "default",
			"The widget has no mode of its own, and the handler in /a has none, so the default applies."},
		{"widget", "chat_identity /a" + named, "shop", `{"id":"shop","mode":"off"}`, "off", "widget",
			"The widget's own mode is off, and the handler in /a has none."},
		{"stricter widget", "chat_identity /a off" + named, "shop", `{"id":"shop","mode":"required"}`, "required", "widget",
			"The widget's own mode is required, and the handler in /a has off."},
		{"handler", "chat_identity /a required" + named, "shop", `{"id":"shop"}`, "required", "handler",
			"The widget has no mode of its own, and the handler in /a has required."},
		{"stricter handler", "chat_identity /a required" + named, "shop", `{"id":"shop","mode":"optional"}`, "required", "handler",
			"The widget's own mode is optional, and the handler in /a has required, which is the minimum."},
		{"equal", "chat_identity /a required" + named, "shop", `{"id":"shop","mode":"required"}`, "required", "widget",
			"The widget's own mode is required, and the handler in /a has required."},
		{"handlers that differ", "chat_identity /a" + named + "chat_identity /b required" + named + "chat_identity /c off {\nwidget shop\n}\n",
			"shop", `{"id":"shop"}`, "off", "handler",
			"The widget has no mode of its own, and the handler in /a has none, the handler in /c has off, the handler in /b has required: so requests are treated as off in /c, optional in /a, required in /b. The laxest mode is shown."},
		{"made equal by the widget", "chat_identity /a" + named + "chat_identity /b optional" + named, "shop", `{"id":"shop","mode":"required"}`, "required", "widget",
			"The widget's own mode is required, and the handler in /a has none, the handler in /b has optional."},
		{"many", "chat_identity /a" + named + "chat_identity /b" + named + "chat_identity /c" + named + "chat_identity /d" + named + "chat_identity /e" + named,
			"shop", `{"id":"shop"}`, "optional", "default",
			"The widget has no mode of its own, and the handlers in /a, /b, /c and 2 more places have none, so the default applies."},
		{"another literal", "chat_identity /a required {\nwidget other\n}\n", "shop", `{"id":"shop"}`, "", "",
			"No handler's requests can name this widget, so nothing is verified with it: add 'widget shop' to a chat_identity block, " +
				"or have requests name theirs, as with 'widget {header.X-Widget}'."},
		{"another dialect", "chat_identity /a {\nwidget {header.X-Widget-Key}\nclaim user_id body /id\n}\n", "shop", `{"id":"shop","dialect":"nextcap"}`, "", "",
			"No handler takes this widget, so nothing is verified with it. The widget has a dialect that this handler does not take: it has a claim of its own, or one_time, for which that dialect signs no timestamp."},
		{"a handler's own", "chat_identity /a required" + own + "chat_identity /b" + named, "default", "", "required", "handler",
			"The widget has no mode of its own, and the handler in /a has required."},
		{"off without a widget", "chat_identity /static off\nchat_identity" + named, "shop", `{"id":"shop"}`, "optional", "default",
			"The widget has no mode of its own, and the handler in has none, so the default applies."},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := live(t, "", c.site+"reverse_proxy UPSTREAM")
			if c.create != "" {
				g.create(t, c.create)
			}
			var one adminapi.Widget
			g.askInto(t, "widgets/"+c.id, &one)
			why := listener.ReplaceAllString(one.ModeWhy, "")
			if one.EffectiveMode != c.mode || string(one.ModeFrom) != c.from || why != c.why {
				t.Errorf("%s from %s: %s\n(%s)", one.EffectiveMode, one.ModeFrom, why, one.ModeWhy)
			}
			var v adminapi.Overview
			g.askInto(t, "overview?sort=id", &v)
			if len(v.Widgets) == 0 || v.Widgets[len(v.Widgets)-1].Effect != one.Effect && v.Widgets[0].Effect != one.Effect {
				t.Errorf("the overview has %+v", v.Widgets)
			}
		})
	}
}

// TestSetSaysWhatItDoes: a change that has no effect, or one that requests feel, says so.
func TestSetSaysWhatItDoes(t *testing.T) {
	g := live(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy UPSTREAM")
	g.create(t, `{"id":"shop"}`)
	set := func(mode, want string) {
		t.Helper()
		c := g.call(t, "PATCH", "widgets/shop", `{"mode":"`+mode+`"}`)
		if note := listener.ReplaceAllString(c.Note, ""); c.status != http.StatusOK || note != want {
			t.Errorf("%s: %d %s", mode, c.status, note)
		}
	}
	set("required", "")
	set("optional", "The mode optional is stored but changes nothing: requests stay required. "+
		"The widget's own mode is optional, and the handler in has required, which is the minimum.")
	if c := g.call(t, "PATCH", "widgets/shop", `{"dialect":"nextcap"}`); c.Note != "" || c.EffectiveMode != "required" {
		t.Errorf("a dialect alone: %s", c.body)
	}
	load(t, strings.Replace(g.config, "chat_identity required", "chat_identity off", 1))
	set("required", "Requests are now treated as required. The widget's own mode is required, and the handler in has off.")
	set("", "Requests are now treated as off. The widget has no mode of its own, and the handler in has off.")
	load(t, strings.Replace(g.config, "chat_identity required", "chat_identity /a required {\nwidget {header.X-Widget-Key}\n}\nchat_identity /b", 1))
	set("off", "Requests are now treated as off, though not everywhere. The widget's own mode is off, and the handler in /b has none, "+
		"the handler in /a has required: so requests are treated as off in /b, required in /a. The laxest mode is shown.")
	load(t, strings.Replace(g.config, "{header.X-Widget-Key}", "other", 1))
	set("optional", "The change is stored but applies to no request. No handler's requests can name this widget, so nothing is verified with it: "+
		"add 'widget shop' to a chat_identity block, or have requests name theirs, as with 'widget {header.X-Widget}'.")
}
