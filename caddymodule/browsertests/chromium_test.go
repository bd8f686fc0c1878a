package browsertests

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// limit is how long a test may drive its browser, in case a page waits for what
// never comes. It leaves room for slow machines.
const limit = 5 * time.Minute

// flags make a browser that contacts no other machine. Only this machine's name is
// resolved, so that a page that loads something from elsewhere fails everywhere.
var flags = []chromedp.ExecAllocatorOption{
	chromedp.Headless,
	chromedp.NoFirstRun,
	chromedp.NoDefaultBrowserCheck,
	chromedp.DisableGPU,
	// The sandbox needs rights that root and many containers do not have. The
	// pages are our own.
	chromedp.NoSandbox,
	// A container's /dev/shm can be too small for a page.
	chromedp.Flag("disable-dev-shm-usage", true),
	chromedp.Flag("disable-background-networking", true),
	chromedp.Flag("disable-breakpad", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.Flag("disable-default-apps", true),
	chromedp.Flag("disable-extensions", true),
	chromedp.Flag("disable-quic", true),
	chromedp.Flag("disable-sync", true),
	chromedp.Flag("metrics-recording-only", true),
	chromedp.Flag("password-store", "basic"),
	chromedp.Flag("no-proxy-server", true),
	chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
	// The same colors and language wherever a screenshot is taken.
	chromedp.Flag("force-color-profile", "srgb"),
	chromedp.Flag("lang", "en-US"),
}

// newBrowser starts Chromium with an empty profile and returns the context of its tab,
// for [chromedp.Do] and [chromedp.Run]: 1280 by 800 pixels, light, motion reduced. The browser ends
// with the test, and then everything that [troublesOf] has collected fails it.
//
// Without Chromium the test fails, and says what to install.
func newBrowser(t testing.TB) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("this test drives Chromium, which is not installed: run `make deps`, or install Debian's package chromium")
	}
	collected := &troubles{}
	// The test's own context ends before its cleanups, and so before the troubles
	// are read.
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), troublesKey{}, collected), limit)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewExecAllocator(ctx, append([]chromedp.ExecAllocatorOption{chromedp.ExecPath(path)}, flags...)...)
	t.Cleanup(end) // waits until Chromium and its profile are gone
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)

	if err := chromedp.Listen(ctx, collected.listen(ctx)); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	must(t, chromedp.Do(ctx, size(1280, 800), colors(false)))
	t.Cleanup(func() {
		for _, trouble := range troublesOf(t, ctx) {
			t.Errorf("in the browser: %s", trouble)
		}
	})
	return ctx
}
