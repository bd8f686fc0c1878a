package browsertests

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// narrow is the width in pixels from which on down a screen is a phone's.
const narrow = 600

// size makes the page so many CSS pixels wide and high: as a phone shows it, with
// its viewport and scrollbars, where it is narrow.
func size(width, height int64) chromedp.Action[chromedp.Void] {
	if width < narrow {
		return chromedp.EmulateViewport(width, height, chromedp.EmulateMobile, chromedp.EmulatePortrait)
	}
	return chromedp.EmulateViewport(width, height)
}

// colors makes the page prefer dark colors, or light ones. Motion is reduced
// with both, so that nothing is caught on its way.
func colors(dark bool) chromedp.Action[chromedp.Void] {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, media)
		return err
	})
}

// screenshot writes the whole page, as it is now, to screenshots/<name>.png at
// the root of the repository, for somebody to look at. Git ignores that folder.
func screenshot(t testing.TB, ctx context.Context, name string) {
	t.Helper()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatalf("screenshot %s: %v", name, err)
	}
	folder := filepath.Join(testbed.Root(t), "screenshots")
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644))
}
