package browsertests

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// troubles are things that a sound page does not do, and a page with an injected
// script most likely does.
type troubles struct {
	mu   sync.Mutex
	seen []string
}

type troublesKey struct{}

// troublesOf returns what the page has done wrong since it was last asked: scripts
// that threw, errors that were logged, what the Content-Security-Policy had to
// stop, dialogs (alert and the like, which are closed), requests to other
// machines, crashes. What is returned here no longer fails the test, so that a test
// of an attack can look at what it provoked.
//
// An answer with a status of 400 or above is none: pages must handle it.
func troublesOf(t testing.TB, ctx context.Context) []string {
	t.Helper()
	// What has happened in the page before this arrives before its result.
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void]("0")); err != nil {
		t.Errorf("the page does not answer any more: %v", err)
	}
	c, ok := ctx.Value(troublesKey{}).(*troubles)
	if !ok {
		t.Fatal("this is no context of newBrowser")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	return seen
}

func (c *troubles) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, fmt.Sprintf(format, args...))
}

func (c *troubles) listen(ctx context.Context) func(any) {
	return func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			c.add("a script threw: %s", (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
				c.add("console.%s: %s", e.Type, words(e.Args))
			}
		case *log.EventEntryAdded:
			// "Failed to load resource" is a status that was answered.
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
				c.add("%s: %s", e.Entry.Source, e.Entry.Text)
			}
		case *page.EventJavascriptDialogOpening:
			c.add("a dialog opened (%s): %s", e.Type, e.Message)
			// Not here: a listener must not wait for the browser.
			go func() {
				_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: false})
			}()
		case *network.EventRequestWillBeSent:
			if elsewhere(e.Request.URL) {
				c.add("a request to another machine: %s", e.Request.URL)
			}
		case *inspector.EventTargetCrashed:
			c.add("the page crashed")
		}
	}
}

func words(args []*runtime.RemoteObject) string {
	var all []string
	for _, a := range args {
		if a.Description != "" {
			all = append(all, a.Description)
		} else {
			all = append(all, string(a.Value))
		}
	}
	return strings.Join(all, " ")
}

func elsewhere(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return true
	}
	switch u.Scheme {
	case "data", "blob", "about":
		return false
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1":
		return false
	}
	return true
}
