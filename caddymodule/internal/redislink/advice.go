package redislink

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// Fault is an error of Redis as an operator reads it. It wraps that error.
type Fault struct {
	Code   string // the first word of Redis's answer, "" without an answer
	What   string // what is wrong
	Advice string // what an operator can do about it
	Away   bool   // all other commands would fail, too
	text   string // how an answer without a code of its own begins
	cause  error
}

func (f *Fault) Error() string { return f.What + ": " + f.Advice }
func (f *Fault) Unwrap() error { return f.cause }

// Of reports whether Redis answered with one of these codes.
func (f *Fault) Of(codes ...string) bool { return f.Code != "" && slices.Contains(codes, f.Code) }

// Rights are those that docs/fleet.md lists for both, on one server.
const Rights = "~<prefix>{w}* ~<prefix>{l}* +get +mget +set +del +setrange +zadd +zrem +zrangebylex +hincrby +hdel +hgetall +eval +ping " +
	"+evalsha +info +time +pexpireat +zcount +zrange +zremrangebyscore"

// answers are the faults that Redis reports, in the order in which they are looked for.
var answers = []Fault{
	{Code: "OOM", What: "Redis has no memory left", Advice: "raise its maxmemory, and keep maxmemory-policy noeviction"},
	{Code: "READONLY", What: "this Redis is a replica", Advice: "name the primary in the URL, or its Sentinels (redis+sentinel)", Away: true},
	{Code: "NOAUTH", What: "Redis asks for a password", Advice: "write it into the URL", Away: true},
	{Code: "WRONGPASS", What: "Redis has no such user with that password", Advice: "correct the user and the password in the URL", Away: true},
	{Code: "NOPERM", What: "the user may not do that", Advice: "give the user this right; all that widgets and ledger need are: ACL SETUSER <user> " + Rights},
	{Code: "DENIED", What: "Redis is in protected mode and refuses other machines", Away: true,
		Advice: "set a password there (requirepass) and write it into the URL"},
	{Code: "LOADING", What: "Redis is loading its data", Advice: "wait for it", Away: true},
	{Code: "MASTERDOWN", What: "this replica has lost its primary", Advice: "name the primary in the URL, or its Sentinels", Away: true},
	{Code: "CLUSTERDOWN", What: "a part of the cluster is missing", Advice: "see CLUSTER INFO", Away: true},
	{Code: "MISCONF", What: "Redis cannot save its data and takes no changes", Advice: "see its log, and the space on its disk"},
	{Code: "NOREPLICAS", What: "too few replicas follow the primary", Advice: "start them, or lower min-replicas-to-write"},
	{Code: "BUSY", What: "another script keeps Redis busy", Advice: "end it (SCRIPT KILL)", Away: true},
	{Code: "MOVED", What: "this is a node of a cluster", Advice: "begin the URL with redis+cluster", Away: true},
	{Code: "CROSSSLOT", What: "this is a node of a cluster", Advice: "begin the URL with redis+cluster", Away: true},
	{Code: "ASK", What: "the cluster is moving these keys", Advice: "wait for it", Away: true},
	{Code: "TRYAGAIN", What: "the cluster is moving these keys", Advice: "wait for it", Away: true},
	{Code: "WRONGTYPE", What: "something else uses these keys (WRONGTYPE)", Advice: "choose another prefix in the URL"},
	{Code: "NOPROTO", What: "the server speaks neither RESP3 nor RESP2", Advice: "name a Redis 6 or later, or a Valkey, in the URL", Away: true},
	{Code: "ERR", text: "max number of clients", What: "Redis has no room for another connection", Away: true,
		Advice: "raise its maxclients, or close connections of others"},
	{Code: "ERR", text: "AUTH <password> called without any password", What: "the URL has a password, but this Redis has none", Away: true,
		Advice: "remove it from the URL, or set it there (requirepass)"},
	{Code: "ERR", text: "DB index is out of range", What: "Redis has no database of the number in the URL", Away: true,
		Advice: "correct the number, or raise 'databases' in the configuration of Redis"},
	{Code: "ERR", text: "SELECT is not allowed in cluster mode", What: "a cluster has only one database, but the URL names another", Away: true,
		Advice: "begin the URL with redis+cluster, and remove the number"},
	{Code: "ERR", text: "This instance has cluster support disabled", What: "this is not a node of a cluster", Away: true,
		Advice: "begin the URL with redis in place of redis+cluster"},
	{Code: "ERR", text: "No such master with that name", What: "these Sentinels know no primary of the name in the URL", Away: true,
		Advice: "correct the name behind the hosts (SENTINEL MASTERS lists them)"},
	{Code: "ERR", text: "unknown command", What: "the server does not know a command", Away: true,
		Advice: "name a Redis 6 or later, or a Valkey, in the URL, not a proxy without that command; Sentinels need redis+sentinel"},
}

// Refusal is the error of a command within a script.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Explain explains an error of the client, or a [Refusal]. If the error is that of a script,
// its text tells which of its commands is not allowed.
func Explain(err error, script ...string) *Fault {
	if known, ok := errors.AsType[*Fault](err); ok {
		return known
	}
	f := Fault{}
	refusal, refused := errors.AsType[Refusal](err)
	if reply, ok := rueidis.IsRedisErr(err); ok {
		f = explainReply(reply.Error(), strings.Join(script, ""))
	} else if refused {
		f = explainReply(string(refusal), strings.Join(script, ""))
	} else {
		f = explainConnection(err)
	}
	f.cause = err
	return &f
}

// explainReply explains an error reply. Within a script, some versions of Redis wrap the
// code, and others omit it.
func explainReply(text, script string) Fault {
	text = strings.TrimPrefix(text, "ERR ") // the client omits it
	text = strings.NewReplacer("The user executing the script can't ", "NOPERM can't ", "ACL failure in script: ", "NOPERM ").Replace(text)
	for _, f := range answers {
		if f.text != "" && strings.HasPrefix(text, f.text) || f.text == "" &&
			(strings.HasPrefix(text, f.Code+" ") || strings.Contains(text, " "+f.Code+" ") || strings.Contains(text, "-"+f.Code+" ")) {
			return f.detailed(text, script)
		}
	}
	return Fault{Code: "ERR", What: "Redis refuses (" + text + ")", Advice: "see the log of Redis"}
}

var (
	quotedCommand = regexp.MustCompile("(?:the '|unknown command ['`]|subcommand ')([\\w|]+)['`]")
	scriptLine    = regexp.MustCompile(`user_script:(\d+)`)
	scriptCall    = regexp.MustCompile(`redis\.p?call\('(\w+)'`)
)

// detailed adds which command it was.
func (f Fault) detailed(text, script string) Fault {
	command := ""
	if m := quotedCommand.FindStringSubmatch(text); m != nil {
		command = m[1]
	} else if m := scriptLine.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		if lines := strings.Split(script, "\n"); n > 0 && n <= len(lines) {
			var calls []string
			for _, call := range scriptCall.FindAllStringSubmatch(lines[n-1], -1) {
				calls = append(calls, strings.ToLower(call[1]))
			}
			command = strings.Join(slices.Compact(calls), " or ")
		}
	}
	switch {
	case f.Code == "ERR" && strings.EqualFold(command, "sentinel"):
		f.What, f.Advice = "there is no Sentinel at this address, but a Redis", "begin the URL with redis in place of redis+sentinel, or name the port of the Sentinels (26379)"
	case f.Code == "NOPERM" && strings.Contains(text, "key"):
		f.What = "the user may not use these keys"
		f.Advice = "give the user this right, the keys that begin with the prefix in the URL; all that widgets and ledger need are: ACL SETUSER <user> " + Rights
	case command != "" && f.Code == "NOPERM":
		f.What = "the user may not use the command " + command
	case command != "" && f.Code == "ERR":
		f.What = "the server does not know the command " + command
	}
	return f
}
