package caddymodule

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// warningsPerSecond bounds what clients can make this module log.
const warningsPerSecond = 5

// logger logs what clients cause, a few lines a second, and says how many it left out.
type logger struct {
	zap    *zap.Logger
	second atomic.Int64
	count  atomic.Int64
	left   atomic.Int64
	told   atomic.Bool // that the handler was overruled
}

// overruled says, once, that a request which this handler is to decide was
// decided by one before it. The first decides, and is laxer here.
func (l *logger) overruled(s *state) {
	if !l.told.Swap(true) {
		l.zap.Warn("an earlier chat_identity decided requests that this one matches, in a laxer mode: "+
			"narrow its matcher, or put the stricter one first", zap.Stringer("earlier", s.mode))
	}
}

// allow reports whether one more line may be logged in this second.
func (l *logger) allow() bool {
	now := time.Now().Unix()
	if second := l.second.Load(); second != now && l.second.CompareAndSwap(second, now) {
		l.count.Store(0)
	}
	if l.count.Add(1) <= warningsPerSecond {
		return true
	}
	l.left.Add(1)
	return false
}

// warn logs a line if it may.
func (l *logger) warn(message string, fields ...zap.Field) {
	if l.allow() {
		l.write(message, fields...)
	}
}

// write logs a line for which allow was asked.
func (l *logger) write(message string, fields ...zap.Field) {
	if left := l.left.Swap(0); left > 0 {
		fields = append(fields, zap.Int64("left_out", left))
	}
	l.zap.Warn(message, fields...)
}

// refused logs a request that was not forwarded. Caddy itself logs such
// answers at level debug only.
func (l *logger) refused(x *exchange, cause error, status int) {
	if l.allow() {
		l.write("request refused", append(refusalFields(x, cause), zap.Int("status", status))...)
	}
}

// forwarded logs a request that was forwarded without its claim, unless there
// was none.
func (l *logger) forwarded(x *exchange, cause error) {
	if x.s.reason != verifier.Missing && l.allow() {
		l.write("identity claim not verified, forwarded as anonymous", refusalFields(x, cause)...)
	}
}

func refusalFields(x *exchange, cause error) []zap.Field {
	fields := []zap.Field{
		zap.String("reason", string(x.s.reason)), zap.String("widget", x.s.widget), zap.String("dialect", x.s.dialect), requestID(x.r),
	}
	if x.s.reason == verifier.Malformed {
		fields = append(fields, zap.String("detail", malformedDetail(x.plan, cause)))
	}
	if x.s.reason == verifier.Invalid && x.widget != nil {
		if mistake, ok := x.plan.policy.Diagnose(&x.reading.Claim, x.body.text, x.widget.secrets, nil); ok {
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
