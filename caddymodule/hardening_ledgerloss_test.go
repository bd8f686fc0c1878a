package caddymodule

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// losing is a site that needs its ledger. Its skew is short, so that tests need not wait.
var losing = "handle /once {\n" + oneTime("required", "skew 1s") + "reverse_proxy UPSTREAM\n}\n" +
	"handle {\n" + conversing("required", "") + "reverse_proxy UPSTREAM\n}"

// loser is a gateway in a process of its own that loses its ledger.
type loser struct {
	*process
	path string // of the ledger
	seen int    // how much of the log was looked at
}

func newLoser(t *testing.T) *loser {
	path := filepath.Join(t.TempDir(), "ledger", "ledger.db")
	return &loser{process: newProcess(t, "ledger bolt "+path, losing), path: path}
}

// startLoser returns one that runs, and a token that was used.
func startLoser(t *testing.T) (l *loser, used ticket) {
	t.Helper()
	l = newLoser(t)
	l.run(t)
	return l, l.use(t)
}

func (l *loser) once(t *testing.T, k ticket) string {
	t.Helper()
	return verdict(t, l.do(t, "POST", "/once", k.json(), jsonType))
}

func (l *loser) talk(t *testing.T, user, conversation string) string {
	t.Helper()
	return verdict(t, l.post(t, in(conversation, claim(user))))
}

// since returns what was logged since it was last asked for.
func (l *loser) since() string {
	text := l.log.String()
	defer func() { l.seen = len(text) }()
	return text[l.seen:]
}

// restart starts the gateway again, after what is done meanwhile.
func (l *loser) restart(t *testing.T, meanwhile ...func() error) {
	t.Helper()
	l.kill(t)
	for _, do := range meanwhile {
		must(t, do())
	}
	l.since()
	l.run(t)
}

// remove removes the ledger's file.
func (l *loser) remove() error { return os.Remove(l.path) }

// use uses a token, which works once the skew after a loss is over.
func (l *loser) use(t *testing.T) ticket {
	t.Helper()
	var k ticket
	eventually(t, "no token is accepted", func() bool {
		k = newToken("zoe")
		return l.once(t, k) == "zoe"
	})
	return k
}

// shows checks what the admin API, the metrics and the log say of a loss.
func (l *loser) shows(t *testing.T, lost bool) {
	t.Helper()
	var v adminapi.Overview
	l.askInto(t, "overview", &v)
	if (v.Ledger.Lost != "") != lost || !v.Ledger.Reachable {
		t.Errorf("lost %t: the overview shows %+v", lost, v.Ledger)
	}
	want := "caddy_chat_identity_ledger_lost 0\n"
	if lost {
		want = "caddy_chat_identity_ledger_lost 1\n"
	}
	if metrics := l.page(t, "/metrics"); !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
	if text := l.since(); strings.Contains(text, "used before is lost") != lost || lost && !strings.Contains(text, `"level":"error"`) && !strings.Contains(text, "ERROR") {
		t.Errorf("lost %t: the log says: %s", lost, text)
	}
}

func (l *loser) accept(t *testing.T, want string) {
	t.Helper()
	stdout, stderr, err := l.command(t, "", "ledger", "accept-loss")
	if err != nil || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("accept-loss: %v, %s%s, want %q", err, stdout, stderr, want)
	}
}

// TestLedgerDeleted: a ledger's file that was deleted is not replaced
// in silence. What was used stays refused, before and after the loss is accepted.
func TestLedgerDeleted(t *testing.T) {
	t.Parallel()
	l, used := startLoser(t)
	equal(t, l.talk(t, "zoe", "c1"), "zoe", "at first")
	l.restart(t)
	l.shows(t, false)

	l.restart(t, l.remove)
	equal(t, l.once(t, used), "503 unavailable", "used before the loss")
	l.shows(t, true)
	after := l.use(t)
	// Nobody knows whose a conversation is.
	talks := func(want map[string]string) {
		t.Helper()
		for user, want := range want {
			equal(t, l.talk(t, user, "c1"), want, "%s names a conversation from before", user)
		}
	}
	talks(map[string]string{"zoe": "503 unavailable", "ada": "503 unavailable"})
	l.restart(t)
	l.shows(t, true)
	talks(map[string]string{"zoe": "503 unavailable", "ada": "503 unavailable"})
	for k, want := range map[ticket]string{used: "503 unavailable", after: "403 replayed"} {
		equal(t, l.once(t, k), want, "after a restart")
	}

	l.accept(t, "is accepted")
	if !strings.Contains(l.since(), "the loss of the ledger was accepted") {
		t.Error("the log does not say that the loss was accepted")
	}
	l.shows(t, false)
	talks(map[string]string{"ada": "ada"}) // free to take, as was accepted
	talks(map[string]string{"zoe": "403 conversation_claimed"})
	l.accept(t, "Nothing to accept")
	l.restart(t)
	l.shows(t, false)
	for k, want := range map[ticket]string{used: "503 unavailable", after: "403 replayed"} {
		equal(t, l.once(t, k), want, "after the loss was accepted")
	}
	stdout, stderr, err := l.command(t, "", "ledger", "accept-loss", "--json")
	if err != nil || !strings.HasPrefix(stdout, `{"accepted":false,"ledger":"`) {
		t.Errorf("%v: %s%s", err, stdout, stderr)
	}
}

// TestLedgerMoved: a ledger at another path is another one, which knows nothing of
// what the first recorded. The log says so.
func TestLedgerMoved(t *testing.T) {
	t.Parallel()
	const moved = "this configuration names another ledger than before"
	l, used := startLoser(t)
	equal(t, l.talk(t, "zoe", "c1"), "zoe", "at first")
	there := l.config
	l.config = strings.Replace(there, l.path, filepath.Join(t.TempDir(), "elsewhere.db"), 1)
	l.restart(t)
	if got := l.talk(t, "ada", "c1"); got != "ada" || !strings.Contains(l.since(), moved) {
		t.Errorf("a conversation: %s", got)
	}
	l.shows(t, false)
	l.restart(t)
	if got := l.talk(t, "ada", "c1"); got != "ada" || strings.Contains(l.since(), moved) {
		t.Errorf("after a restart: %s", got)
	}
	l.config = there
	l.restart(t)
	equal(t, l.once(t, used), "403 replayed", "back where it was")
	if got := l.talk(t, "ada", "c1"); got != "403 conversation_claimed" || !strings.Contains(l.since(), moved) {
		t.Errorf("a conversation: %s", got)
	}
}

// TestLedgerDeletedWhileInUse: the running gateway notices by itself, refuses
// what needs the ledger, and starts over once the loss is accepted.
func TestLedgerDeletedWhileInUse(t *testing.T) {
	t.Parallel()
	l, used := startLoser(t)
	must(t, os.Remove(l.path))
	eventually(t, "the log does not say so", func() bool { return strings.Contains(l.log.String(), "accept the loss") })
	for _, k := range []ticket{used, newToken("zoe")} {
		equal(t, l.once(t, k), "503 unavailable", "without a ledger")
	}
	var v adminapi.Overview
	if l.askInto(t, "overview", &v); v.Ledger.Reachable || !strings.Contains(v.Ledger.Error, "accept-loss") {
		t.Errorf("%+v", v.Ledger)
	}
	l.accept(t, "is accepted")
	l.since()
	equal(t, l.once(t, used), "503 unavailable", "used before the loss")
	after := l.use(t)
	l.shows(t, false)
	l.restart(t)
	l.shows(t, false)
	for k, want := range map[ticket]string{used: "503 unavailable", after: "403 replayed"} {
		equal(t, l.once(t, k), want, "after a restart")
	}
}

// createLedger does what a gateway does first: it creates the ledger. Killed
// then, it has noted nothing of it.
func createLedger(t *testing.T, path string) {
	t.Helper()
	b := boltledger.New(boltledger.Options{Path: path})
	_, err := b.Open(t.Context(), ledger.Window{})
	must(t, errors.Join(err, b.Close()))
}

// TestKilledBeforeTheNote: whenever a gateway is killed between the creation of
// a ledger and the note of it, the next one is neither alarmed nor deceived.
func TestKilledBeforeTheNote(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	createLedger(t, l.path)
	l.run(t)
	l.shows(t, false)
	used := newToken("zoe")
	equal(t, l.once(t, used), "zoe", "a first token")
	l.restart(t, l.remove, func() error { createLedger(t, l.path); return nil })
	l.shows(t, true)
	equal(t, l.once(t, used), "503 unavailable", "used before the loss")
}

// TestKilledAtStart kills gateways that start with a new ledger, at any moment.
func TestKilledAtStart(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	for i := range 12 {
		cmd := caddyCommand(l.dir, "run", "--config", "-", "--adapter", "caddyfile")
		cmd.Stdin = strings.NewReader(l.config)
		must(t, cmd.Start())
		for begun := time.Now(); time.Since(begun) < patience; time.Sleep(100 * time.Microsecond) {
			if _, err := os.Stat(l.path); err == nil {
				break
			}
		}
		time.Sleep(time.Duration(i) * 500 * time.Microsecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if i%3 < 2 {
			continue
		}
		l.since()
		l.run(t)
		l.shows(t, false)
		equal(t, l.once(t, newToken("zoe")), "zoe", "round %d", i)
		l.kill(t)
		// Everything goes, and so nothing is lost.
		must(t, errors.Join(os.RemoveAll(filepath.Dir(l.path)), l.removeNotes()))
	}
}

// widgetsFile returns where a configuration has its widgets.
func widgetsFile(config string) string {
	_, rest, _ := strings.Cut(config, "widgets file ")
	path, _, _ := strings.Cut(rest, "\n")
	return path
}

func notesOf(config string) []string {
	notes, _ := filepath.Glob(widgetsFile(config) + ".ledger-*")
	return notes
}

// removeNotes removes those with the widgets and those in the data directory.
func (l *loser) removeNotes() error {
	aside, _ := filepath.Glob(filepath.Join(l.dir, "*", "chat_identity", "ledger-*"))
	for _, note := range append(aside, notesOf(l.config)...) {
		if err := os.Remove(note); err != nil {
			return err
		}
	}
	return nil
}

// TestValidateNotesNothing: validating a configuration neither creates nor changes
// notes.
func TestValidateNotesNothing(t *testing.T) {
	t.Parallel()
	l := newLoser(t)
	validate := func() {
		t.Helper()
		cmd := caddyCommand(l.dir, "validate", "--config", "-", "--adapter", "caddyfile")
		cmd.Stdin = strings.NewReader(l.config)
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("is lost")) {
			t.Errorf("%v: %s", err, out)
		}
	}
	validate()
	if _, err := os.Stat(l.path); !errors.Is(err, fs.ErrNotExist) || len(notesOf(l.config)) > 0 {
		t.Errorf("%v, %v", err, notesOf(l.config))
	}
	l.run(t)
	l.use(t)
	notes := notesOf(l.config)
	if len(notes) != 1 {
		t.Fatal(notes)
	}
	before, _ := os.ReadFile(notes[0])
	there := l.config
	l.config = strings.Replace(there, l.path, filepath.Join(t.TempDir(), "elsewhere.db"), 1)
	validate()
	if after, _ := os.ReadFile(notes[0]); !bytes.Equal(after, before) {
		t.Errorf("%s became %s", before, after)
	}
	l.config = there
	l.restart(t)
	l.shows(t, false)
}

// TestAcceptLossRefuses: what cannot be accepted.
func TestAcceptLossRefuses(t *testing.T) {
	g := live(t, ownLedger(t), liveSite)
	if c := g.call(t, "POST", "ledger/accept-loss", ""); c.status != 409 || !strings.Contains(c.Error, "uses the ledger") {
		t.Errorf("unused: %d %s", c.status, c.body)
	}
	path := filepath.Join(t.TempDir(), "ledger.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("no ledger ", 1000)), 0o600))
	g = live(t, "ledger bolt "+path, losing)
	if c := g.call(t, "POST", "ledger/accept-loss", ""); c.status != 503 || !strings.Contains(c.Error, "is not a ledger") {
		t.Errorf("damaged: %d %s", c.status, c.body)
	}
	if c := g.call(t, "GET", "ledger/accept-loss", ""); c.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", c.status)
	}
}

// TestLossInFleet: gateways that share a Redis notice that it was emptied, one by
// one accept it, and each knows its own ledger from the others'.
func TestLossInFleet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	redis := "encryption_key {env.TEST_KEY}\nwidgets redis redis://" + server.Addr
	var shared, own [2]*loser
	for i := range shared {
		shared[i] = &loser{process: newProcess(t, redis, losing)}
		own[i] = newLoser(t)
		own[i].process = newProcess(t, redis+"\nledger bolt "+own[i].path, losing)
	}
	all := []*loser{shared[0], shared[1], own[0], own[1]}
	for _, l := range all {
		l.run(t)
		l.use(t)
	}
	for _, l := range all {
		l.restart(t)
		l.shows(t, false)
	}
	own[0].restart(t, own[0].remove)
	own[0].shows(t, true)
	own[1].restart(t)
	own[1].shows(t, false)
	own[0].accept(t, "is accepted")

	used := shared[0].use(t)
	for _, l := range shared {
		l.since()
	}
	server.Do("FLUSHALL")
	for i, l := range shared {
		eventually(t, "the loss is not noticed", func() bool { return strings.Contains(l.page(t, "/metrics"), "ledger_lost 1\n") })
		equal(t, l.once(t, used), "503 unavailable", "gateway %d, used before the loss", i)
		l.shows(t, true)
		equal(t, l.talk(t, "ada", "c1"), "ada", "gateway %d, a conversation", i) // as after every loss of a Redis
		l.restart(t)
		l.shows(t, true)
		l.accept(t, "is accepted")
		l.since()
		l.restart(t)
		l.shows(t, false)
		equal(t, l.once(t, used), "503 unavailable", "gateway %d, after the loss was accepted", i)
		l.use(t)
	}
}

// TestEitherNote: one of the two notes is enough for a loss to be noticed.
func TestEitherNote(t *testing.T) {
	t.Parallel()
	for _, which := range []string{"widgets", "data directory"} {
		l, used := startLoser(t)
		l.kill(t)
		notes := notesOf(l.config)
		if which == "data directory" {
			notes, _ = filepath.Glob(filepath.Join(l.dir, "*", "chat_identity", "ledger-*"))
		}
		if len(notes) != 1 {
			t.Fatalf("%s: %q", which, notes)
		}
		must(t, errors.Join(os.Remove(notes[0]), l.remove()))
		l.since()
		l.run(t)
		equal(t, l.once(t, used), "503 unavailable", "without the note of the %s", which)
		l.shows(t, true)
	}
}

// TestLedgerReturns: a ledger that comes back after its loss was accepted knows
// nothing of what was recorded since, so it counts as lost again.
func TestLedgerReturns(t *testing.T) {
	t.Parallel()
	l, _ := startLoser(t)
	aside := filepath.Join(t.TempDir(), "first.db")
	l.restart(t, func() error { return os.Rename(l.path, aside) })
	l.accept(t, "is accepted")
	equal(t, l.talk(t, "zoe", "c2"), "zoe", "at first")
	l.restart(t, func() error { return os.Rename(aside, l.path) })
	equal(t, l.talk(t, "ada", "c2"), "503 unavailable", "a conversation taken meanwhile")
	l.shows(t, true)
	l.accept(t, "is accepted")
	l.restart(t)
	l.shows(t, false)
}
