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

// warningsPerSecond bounds what clients can make this module log, of each kind.
const warningsPerSecond = 5

// logger logs what clients cause, a few lines a second, and says how many it
// suppressed.
type logger struct {
	zap *zap.Logger
	// Requests without a claim are many where one is required. They must not
	// hide the forged ones.
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

// budget is how much may be logged.
type budget struct {
	lines *rate.Limiter
	left  atomic.Int64 // how many were left out
}

// allow reports whether one more line may be logged now.
func (b *budget) allow() bool {
	if b.lines.Allow() {
		return true
	}
	b.left.Add(1)
	return false
}

// write logs a line for which allow was asked.
func (b *budget) write(log *zap.Logger, message string, fields ...zap.Field) {
	if left := b.left.Swap(0); left > 0 {
		fields = append(fields, zap.Int64("suppressed", left))
	}
	log.Warn(message, fields...)
}

// overruled says, once, that a request which this handler is to decide was
// decided by one before it. The first decides, and is laxer here.
func (l *logger) overruled(s *state) {
	if !l.overrideLogged.Swap(true) {
		l.zap.Warn("an earlier chat_identity decided requests that this one matches, in a laxer mode: "+
			"narrow its matcher, or put the stricter one first", zap.Stringer("earlier", s.mode))
	}
}

// overlong logs that a user's headers were too long.
func (l *logger) overlong(r *http.Request, s *state) {
	if l.others.allow() {
		l.others.write(l.zap, "attributes of the user are left out: the X-Identity headers would exceed 4 KiB",
			zap.String("widget", s.widget), requestID(r))
	}
}

// leftOut logs which fields of a verified claim did not count for how they were
// sent, and counts them.
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

// notMerged logs why a verified user's visitor is not passed on.
func (l *logger) notMerged(x *exchange, err error) {
	why := "the ledger cannot tell whether this visitor was merged before"
	switch {
	case errors.Is(err, ledger.ErrShare):
		why, err = "the user has brought along as many visitors as may be", nil
	case errors.Is(err, errVisitorTaken):
		why, err = "a visitor whom another user has brought along is not merged", nil
	}
	if l.others.allow() {
		l.others.write(l.zap, why, zap.String("widget", x.widget.id), requestID(x.r), zap.Error(err))
	}
}

// notKept logs that what an upstream has accepted could not be written down.
func (l *logger) notKept(r *http.Request, what string, err error) {
	if l.others.allow() {
		l.others.write(l.zap, "the upstream has accepted a "+what+" that the ledger could not keep: another user may take it",
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

// refused logs a request that was not forwarded. Caddy itself logs such
// answers at level debug only.
func (l *logger) refused(x *exchange, status int) {
	l.unverified(x, l.budgetOf(x.s.reason), "request refused", zap.Int("status", status))
}

// forwarded logs a request that was forwarded without its claim, unless there
// was none.
func (l *logger) forwarded(x *exchange) {
	var b *budget
	if x.s.reason != judgment.Missing {
		b = l.budgetOf(x.s.reason)
	}
	l.unverified(x, b, "identity claim not verified, forwarded as anonymous", zap.Skip())
}

// unverified logs a request within a budget, and keeps it as an example of its
// widget's. What is wrong with it is asked once, for both.
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

// requestID is the id that Caddy's own logs and {http.request.uuid} have.
func requestID(r *http.Request) zap.Field {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return zap.Skip()
	}
	id, _ := repl.GetString("http.request.uuid")
	return zap.String("request_id", id)
}
