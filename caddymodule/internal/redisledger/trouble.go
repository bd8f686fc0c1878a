package redisledger

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"
)

// sayEvery is how often the same trouble is logged while it lasts.
const sayEvery = time.Minute

// refusal is a server that is not to be used as it is.
type refusal struct{ kind, text string }

func (r *refusal) Error() string { return r.text }

// trouble is what keeps some calls from succeeding, and others not.
type trouble struct {
	kind string
	err  error
}

// complaint is what a server answers instead, and what is to be done about it.
type complaint struct {
	code, advice string
	away         bool // nothing else would succeed either
}

// complaints in the order in which they are looked for.
var complaints = []complaint{
	{"OOM", "the server's memory is full: raise its maxmemory, or move away what else it holds", false},
	{"READONLY", "the server is a replica, which cannot be written: give the address of the primary, or of the sentinels", true},
	{"NOAUTH", "the server wants a password: give it one", true},
	{"WRONGPASS", "the user's name or password is wrong, or the user is disabled", true},
	{"NOPERM", "the user has not the right: grant +eval +evalsha +info +ping +time +get +set +del +pexpireat +zadd +zcard " +
		"+zscore +zrange +zrem +zremrangebyscore on the keys <prefix>l, <prefix>l:* and <prefix>ls:*", false},
	{"LOADING", "the server has been started and is loading its data: it will answer by itself", true},
	{"MASTERDOWN", "the server is a replica that has lost its primary: see why the primary is down", true},
	{"CLUSTERDOWN", "the cluster does not serve all its slots: see which of its nodes are down", true},
	{"MISCONF", "the server cannot save its data, and so takes nothing: see its log, and whether its disk is full", false},
	{"NOREPLICAS", "the server has fewer replicas than its min-replicas-to-write: see which are down", false},
	{"BUSY", "the server is busy with somebody's script: SCRIPT KILL ends it", true},
	{"MOVED", "the server is a node of a cluster, and the client was not made for one: say so in the configuration", true},
	{"CROSSSLOT", "the server is a node of a cluster, and the ledger was not told: say so in the configuration", true},
}

var (
	unreachable = complaint{"", "the server cannot be reached: see whether it runs, and its address", true}
	unexpected  = complaint{"ERR", "the server refuses what it is asked", false}
)

// complaintOf finds out what an error of the client means.
func complaintOf(err error) complaint {
	_, answered := rueidis.IsRedisErr(err)
	return complaintIn(err.Error(), answered)
}

// complaintIn reads what the server answered, or the client says. Some versions
// wrap the code of what a script called, and one leaves it away.
func complaintIn(text string, answered bool) complaint {
	if answered {
		text = strings.Replace(text, "The user executing the script can't ", "NOPERM can't ", 1)
	}
	for _, c := range complaints {
		if strings.HasPrefix(text, c.code+" ") || answered && strings.Contains(text, c.code+" ") {
			return c
		}
	}
	if answered {
		return unexpected
	}
	return unreachable
}

// explain says what to do about the error.
func explain(err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return err
	}
	return fmt.Errorf("%s: %w", complaintOf(err).advice, err)
}

// blame takes note of a call's error and returns it with what to do. After one
// of the connection nobody asks again until a look has succeeded, so that
// requests do not queue up behind timeouts.
func (l *Ledger) blame(err error, key string) error {
	c, explained := complaintOf(err), explain(err)
	if !c.away {
		l.trouble.Store(&trouble{c.code, explained})
		l.say(c.code, explained)
		return explained
	}
	l.mu.Lock()
	l.trips++
	l.blamed = key
	if s := l.state.Load(); s != nil {
		l.state.Store(&state{explained, s.standing})
	}
	l.mu.Unlock()
	l.say(c.code, explained)
	return explained
}

// say logs what is wrong, each kind at most once in a while.
func (l *Ledger) say(kind string, err error) {
	l.mu.Lock()
	now := time.Now()
	if said, ok := l.said[kind]; ok && now.Sub(said) < sayEvery {
		l.mu.Unlock()
		return
	}
	l.said[kind], l.loud = now, true
	l.mu.Unlock()
	l.log.Error("the ledger is unavailable: nothing can be reserved", zap.String("prefix", l.prefix), zap.Error(err))
}

// recovered logs that all is well, if the log has it otherwise.
func (l *Ledger) recovered() {
	l.mu.Lock()
	loud := l.loud
	l.loud = false
	l.mu.Unlock()
	if loud {
		l.log.Info("the ledger is available again", zap.String("prefix", l.prefix))
	}
}
