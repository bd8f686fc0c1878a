package caddymodule

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// warningsPerSecond bounds what clients can make this module log, of each kind.
const warningsPerSecond = 5

// logger logs what clients cause, a few lines a second, and says how many it
// left out.
type logger struct {
	zap *zap.Logger
	// Requests without a claim are many where one is required. They must not
	// hide the forged ones.
	unsigned, others budget
	told             atomic.Bool // that the handler was overruled
}

// budget is how much may be logged in a second.
type budget struct{ second, count, left atomic.Int64 }

// allow reports whether one more line may be logged in this second.
func (b *budget) allow() bool {
	now := time.Now().Unix()
	if second := b.second.Load(); second != now && b.second.CompareAndSwap(second, now) {
		b.count.Store(0)
	}
	if b.count.Add(1) <= warningsPerSecond {
		return true
	}
	b.left.Add(1)
	return false
}

// write logs a line for which allow was asked.
func (b *budget) write(log *zap.Logger, message string, fields ...zap.Field) {
	if left := b.left.Swap(0); left > 0 {
		fields = append(fields, zap.Int64("left_out", left))
	}
	log.Warn(message, fields...)
}

// overruled says, once, that a request which this handler is to decide was
// decided by one before it. The first decides, and is laxer here.
func (l *logger) overruled(s *state) {
	if !l.told.Swap(true) {
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

// notMerged logs that a verified user's visitor is not passed on.
func (l *logger) notMerged(x *exchange, why string, err error) {
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
func (l *logger) budgetOf(reason verifier.Reason) *budget {
	if reason == verifier.Missing || reason == verifier.Partial {
		return &l.unsigned
	}
	return &l.others
}

// refused logs a request that was not forwarded. Caddy itself logs such
// answers at level debug only.
func (l *logger) refused(x *exchange, cause error, status int) {
	if b := l.budgetOf(x.s.reason); b.allow() {
		b.write(l.zap, "request refused", append(refusalFields(x, cause), zap.Int("status", status))...)
	}
}

// forwarded logs a request that was forwarded without its claim, unless there
// was none.
func (l *logger) forwarded(x *exchange, cause error) {
	if x.s.reason == verifier.Missing {
		return
	}
	if b := l.budgetOf(x.s.reason); b.allow() {
		b.write(l.zap, "identity claim not verified, forwarded as anonymous", refusalFields(x, cause)...)
	}
}

func refusalFields(x *exchange, cause error) []zap.Field {
	fields := []zap.Field{
		zap.String("reason", string(x.s.reason)), zap.String("widget", x.s.widget), zap.String("dialect", x.s.dialect), requestID(x.r),
	}
	if x.s.reason == verifier.Malformed {
		fields = append(fields, zap.String("detail", malformedDetail(x.plan, cause)))
	}
	if (x.s.reason == verifier.Unavailable || x.s.reason == verifier.ConversationClaimed) && x.widgetErr != nil {
		fields = append(fields, zap.String("detail", x.widgetErr.Error()))
	}
	if x.s.reason == verifier.Invalid && x.widget != nil {
		if mistake, ok := x.plan.policy.Diagnose(&x.reading.Claim, x.body.text, x.h.widgets.secrets(x.widget), nil); ok {
			fields = append(fields, zap.String("hint", mistake.Text))
		}
	}
	return fields
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
