package caddymodule

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

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
	overrideLogged   atomic.Bool
}

func newLogger(log *zap.Logger) *logger {
	l := &logger{zap: log}
	for _, b := range []*budget{&l.unsigned, &l.others} {
		b.lines = rate.NewLimiter(warningsPerSecond, warningsPerSecond)
	}
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

// overruled logs, once, that an earlier handler in a laxer mode decided a request that
// this one matches.
func (l *logger) overruled(s *state) {
	if !l.overrideLogged.Swap(true) {
		l.zap.Warn("an earlier chat_identity decided requests that this one matches, in a laxer mode: "+
			"narrow its matcher, or put the stricter one first", zap.Stringer("earlier", s.mode))
	}
}

// overlong logs that a user's headers exceed their limit.
func (l *logger) overlong(r *http.Request, s *state) {
	if l.others.allow() {
		l.others.write(l.zap, "attributes of the user are left out: the X-Identity headers would exceed 4 KiB",
			zap.String("widget", s.widget), requestID(r))
	}
}

// leftOut logs and counts fields of a verified claim that were left out because of how
// they were sent.
func (l *logger) leftOut(x *exchange) {
	fields := leftOutOf(&x.reading)
	if len(fields) == 0 || !x.reading.HasProof() {
		return
	}
	x.h.app.traffic.LeftOut(x.counted, fields)
	if x.s.outcome == judgment.OutcomeVerified && l.others.allow() {
		l.others.write(l.zap, "fields of a verified claim are left out: of a wrong type, over a limit, or there more than once",
			leftOutField(fields), zap.String("widget", x.s.widget), requestID(x.r))
	}
}

func leftOutOf(r *verifier.Reading) (fields []verifier.Field) {
	for _, e := range r.LeftOut() {
		fields = append(fields, e.Field)
	}
	return fields
}

func leftOutField(fields []verifier.Field) zap.Field {
	if len(fields) == 0 {
		return zap.Skip()
	}
	return zap.Stringers("left_out", fields)
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
	if l.others.allow() {
		l.others.write(l.zap, why, zap.String("widget", x.widget.id), requestID(x.r), zap.Error(err))
	}
}

// notKept logs that what an upstream has accepted could not be recorded.
func (l *logger) notKept(r *http.Request, what string, err error) {
	if l.others.allow() {
		l.others.write(l.zap, "the upstream has accepted a "+what+" that the ledger could not keep: another user may claim it",
			requestID(r), zap.Error(err))
	}
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
	l.unverified(x, l.budgetOf(x.s.reason), "request refused", zap.Int("status", status))
}

// forwarded logs a request that was forwarded without its claim, if there was one.
func (l *logger) forwarded(x *exchange) {
	var b *budget
	if x.s.reason != judgment.Missing {
		b = l.budgetOf(x.s.reason)
	}
	l.unverified(x, b, "identity claim not verified, forwarded as anonymous", zap.Skip())
}

// unverified logs a request within a budget, and keeps it as an example for readiness.
// Both share one hint, since a diagnosis is costly.
func (l *logger) unverified(x *exchange, b *budget, message string, status zap.Field) {
	logged := b != nil && b.allow()
	kept := x.h.app.traffic.TakesExample(x.counted, x.s.reason)
	if !logged && !kept {
		return
	}
	hint, detail := x.hint(logged || x.h.app.traffic.MayDiagnose(x.counted))
	id := requestID(x.r)
	if kept {
		x.h.app.traffic.AddExample(x.counted, traffic.Refusal{
			Reason: x.s.reason, RequestID: id.String, Hint: hint, Detail: detail,
			Always: x.refusedAlways(),
		})
	}
	if !logged {
		return
	}
	fields := []zap.Field{
		zap.String("reason", string(x.s.reason)), zap.String("widget", x.s.widget), zap.String("dialect", x.s.dialect), id, status,
		leftOutField(leftOutOf(&x.reading)),
	}
	if hint.Text != "" {
		fields = append(fields, zap.String("hint", hint.Text))
	}
	if detail != "" {
		fields = append(fields, zap.String("detail", detail))
	}
	b.write(l.zap, message, fields...)
}

// requestID is the request's id in Caddy's own logs and {http.request.uuid}.
func requestID(r *http.Request) zap.Field {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return zap.Skip()
	}
	id, _ := repl.GetString("http.request.uuid")
	return zap.String("request_id", id)
}
