package caddymodule

import (
	"cmp"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// warningsPerSecond bounds how much clients can make this module log, per budget.
const warningsPerSecond = 5

// logger logs what clients cause, a few lines per second, and how many it suppressed.
type logger struct {
	zap *zap.Logger
	// There may be many requests without a claim. They must not hide forged ones.
	unsigned, others budget
	override         sync.Once
}

func newLogger(log *zap.Logger) *logger {
	l := &logger{zap: log}
	l.unsigned.lines = rate.NewLimiter(warningsPerSecond, warningsPerSecond)
	l.others.lines = rate.NewLimiter(warningsPerSecond, warningsPerSecond)
	return l
}

// budget bounds one kind of log lines.
type budget struct {
	lines      *rate.Limiter
	suppressed atomic.Int64 // since the last line
}

// allow reports whether one more line may be logged now.
func (b *budget) allow() bool {
	if b.lines.Allow() {
		return true
	}
	b.suppressed.Add(1)
	return false
}

// write logs a line that allow has allowed.
func (b *budget) write(log *zap.Logger, message string, fields ...zap.Field) {
	if n := b.suppressed.Swap(0); n > 0 {
		fields = append(fields, zap.Int64("suppressed", n))
	}
	log.Warn(message, fields...)
}

// warn logs a line that a client causes, unless there are too many.
func (l *logger) warn(message string, fields ...zap.Field) {
	if l.others.allow() {
		l.others.write(l.zap, message, fields...)
	}
}

// overruled logs, once, that an earlier handler in a laxer mode decided a request that
// this one matches.
func (l *logger) overruled(s *state) {
	l.override.Do(func() {
		l.zap.Warn("an earlier chat_identity decided requests that this one matches, in a laxer mode: "+
			"narrow its matcher, or put the stricter one first", zap.Stringer("earlier", s.mode))
	})
}

// leftOut logs and counts fields of a verified claim that were left out because of how
// they were sent.
func (l *logger) leftOut(x *exchange) {
	fields := leftOutOf(&x.reading)
	if len(fields) == 0 || !x.reading.HasProof() {
		return
	}
	x.h.app.traffic.LeftOut(x.counted, fields)
	if x.s.outcome == judgment.OutcomeVerified {
		l.warn("fields of a verified claim are left out: of a wrong type, over a limit, or there more than once",
			append(leftOutFields(&x.reading), zap.String("widget", x.s.widget), about(x.r))...)
	}
}

func leftOutOf(r *verifier.Reading) (fields []verifier.Field) {
	for _, e := range r.LeftOut() {
		fields = append(fields, e.Field)
	}
	return fields
}

// leftOutFields lists the fields that were left out, and why each was.
func leftOutFields(r *verifier.Reading) []zap.Field {
	var why []string
	for _, e := range r.LeftOut() {
		why = append(why, e.Field.String()+" "+e.Detail)
	}
	if len(why) == 0 {
		return nil
	}
	return []zap.Field{zap.Stringers("left_out", leftOutOf(r)), zap.Strings("left_out_why", why)}
}

// beyondHeaders logs which headers about a verified user are not set, for want of room.
func (l *logger) beyondHeaders(r *http.Request, s *state, names []string) {
	l.warn("headers about a verified user are left out: all X-Identity headers may have 4 KiB together, and so may the X-Verified ones that a token signs",
		zap.Strings("left_out_headers", names), zap.String("widget", s.widget), about(r))
}

// notMerged logs why the upstream is not told to merge a visitor.
func (l *logger) notMerged(x *exchange, err error) {
	why := "the ledger cannot tell whether this visitor was merged before"
	switch {
	case errors.Is(err, ledger.ErrShare):
		why, err = "as many visitors as allowed were merged into the user", nil
	case errors.Is(err, errVisitorTaken):
		why, err = "a visitor that was merged into another user is not merged again", nil
	}
	l.warn(why, zap.String("widget", x.widget.id), about(x.r), zap.Error(err))
}

// budgetOf returns the budget for a reason.
func (l *logger) budgetOf(reason judgment.Reason) *budget {
	if reason == judgment.Missing || reason == judgment.Partial {
		return &l.unsigned
	}
	return &l.others
}

// refused logs a request that was not forwarded. Caddy itself logs those only at level
// debug.
func (l *logger) refused(x *exchange, status int) {
	message, answered := "request refused", zap.Int("status", status)
	if x.claim == intake.ErrBroken { // whoever gave up sees no answer
		message, answered = "the client stopped before its request was complete", zap.Skip()
	}
	l.unverified(x, l.budgetOf(x.s.reason), message, answered)
}

// anonymous logs a request that was let pass without its claim, if there was one.
func (l *logger) anonymous(x *exchange, message string) {
	var b *budget
	if x.s.reason != judgment.Missing {
		b = l.budgetOf(x.s.reason)
	}
	l.unverified(x, b, message, zap.Skip())
}

// unverified logs a request within a budget, and keeps it as an example for readiness.
// Both share one hint, since a diagnosis is costly.
func (l *logger) unverified(x *exchange, b *budget, message string, status zap.Field) {
	logged := b != nil && b.allow()
	kept := x.h.app.traffic.TakesExample(x.counted, x.finding.Shown())
	if !logged && !kept {
		return
	}
	hint, detail := x.hint(logged || x.h.app.traffic.MayDiagnose(x.counted))
	if kept {
		x.h.app.traffic.AddExample(x.counted, traffic.Refusal{
			Reason: x.finding.Shown(), RequestID: requestID(x.r), Hint: hint, Detail: detail,
			Always: x.refusedAlways(),
		})
	}
	if !logged {
		return
	}
	fields := []zap.Field{
		zap.String("reason", string(x.s.reason)), zap.String("widget", x.s.widget), zap.String("dialect", x.s.dialect), about(x.r), status,
	}
	fields = append(fields, leftOutFields(&x.reading)...)
	if hint == noMistake || hint == noSecretOfSession {
		hint.Text = cmp.Or(x.otherSecret(), hint.Text)
	}
	fields = append(fields, x.strange()...)
	if hint.Text != "" {
		fields = append(fields, zap.String("hint", hint.Text))
	}
	if detail != "" {
		fields = append(fields, zap.String("detail", detail))
	}
	b.write(l.zap, message, fields...)
}
