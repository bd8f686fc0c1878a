package redisledger

import (
	"sync"

	"github.com/redis/rueidis"
)

// Scripts are atomic. The client does not retry them by itself.
//
// The keys are the entry's, the marker's, and the share's if there is one. The first argument
// is the marker by which the caller decides.

// identity has the server's run id and, behind a dash, whose replica it was when it
// last became a primary: one that was made a replica and a primary again has the
// data of another one, with the same run id. A server without replicas clears
// that after an hour, which is no sign of a loss. See [serverInfo.wrote].
const identity = `
local function identity(info)
	local before = string.match(info, 'master_replid2:(%w+)') or ''
	return string.match(info, 'run_id:(%w+)') or '', string.find(before, '[^0]') and '-' .. before or ''
end
`

// looking answers "forgot" if the server is not the one on which the marker was written, or
// has lost its data. Only a free key needs that check: the run id costs as much as all the
// rest.
const looking = identity + `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'forgot'} end
local v = redis.call('GET', KEYS[1])
if not v then
	local run, promoted = identity(redis.call('INFO', 'server') .. redis.call('INFO', 'replication'))
	if run == '' or not string.find(ARGV[1], ' ' .. run .. promoted .. ' ', 1, true)
		and (promoted ~= '' or not string.find(ARGV[1], ' ' .. run .. '-', 1, true)) then return {'forgot'} end
end
`

// counting keeps a share's places in a sorted set: the entry's name, and the time when the
// place ends, a second after the entry, so that every entry has a place.
const counting = `
local place = string.sub(KEYS[1], -43)
local function now()
	local t = redis.call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function count(ttl)
	redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now())
	redis.call('ZADD', KEYS[3], now() + ttl + 1000, place)
	redis.call('PEXPIREAT', KEYS[3], redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2])
end
`

// reserving writes the entry first, since that is what Redis refuses when its memory is full.
const reserving = looking + counting + `
if v then return {'held', v} end
if KEYS[3] and redis.call('ZCOUNT', KEYS[3], now(), '+inf') >= tonumber(ARGV[4]) then return {'share'} end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if KEYS[3] then count(ARGV[3]) end
return {'held', ARGV[2]}
`

// spending writes the holder's own entry again: how long it is kept may have changed with
// the marker.
const spending = looking + `
if v and string.sub(v, 1, 32) ~= string.sub(ARGV[2], 1, 32) then return {'held', v} end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {'held', ARGV[2]}
`

// keeping answers "counted", and changes nothing, if the entry is part of a share that the
// caller has not named: Redis must be given all keys in advance.
const keeping = looking + counting + `
if not v then return {'free'} end
if string.sub(v, 1, 32) ~= ARGV[2] or string.sub(v, 33, 40) == ARGV[3] then return {'held', v} end
if string.sub(v, 41) ~= ARGV[4] then return {'counted', v} end
v = ARGV[2] .. ARGV[3] .. ARGV[4]
redis.call('SET', KEYS[1], v, 'PX', ARGV[5])
if KEYS[3] then count(ARGV[5]) end
return {'held', v}
`

const releasing = looking + counting + `
if not v then return {'free'} end
if string.sub(v, 1, 32) ~= ARGV[2] or string.sub(v, 33, 40) ~= ARGV[3] then return {'held', v} end
if string.sub(v, 41) ~= ARGV[4] then return {'counted', v} end
redis.call('DEL', KEYS[1])
if KEYS[3] then redis.call('ZREM', KEYS[3], place) end
return {'free'}
`

const holding = looking + `
if not v then return {'free'} end
return {'held', v}
`

// marking replaces the marker, after filling in the server's time and run id, if it is still
// the one that the caller saw. It returns the current marker, the time, the server's INFO,
// and, if it was told to rewrite the marker unchanged, why that failed. It writes the marker
// twice, which makes it a transaction, as a conversation's entry and its share are: a Redis
// that drops transactions when it restarts (issue 14541) then loses both or neither.
const marking = identity + `
local t = redis.call('TIME')
local ms = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local info = redis.call('INFO', 'server') .. '\n' .. redis.call('INFO', 'replication') .. '\n' .. redis.call('INFO', 'memory')
local v = redis.call('GET', KEYS[1]) or ''
local refused = ''
if ARGV[2] ~= '' and v == ARGV[1] then
	local run, promoted = identity(info)
	v = string.gsub(string.gsub(ARGV[2], '@now', ms), '@run', run .. promoted)
	redis.call('SET', KEYS[1], v)
	redis.call('SET', KEYS[1], v)
elseif ARGV[3] == 'write' and v ~= '' then
	refused = redis.pcall('SET', KEYS[1], v).err or ''
end
return {v, ms, info, refused}
`

// luaScript is a script with its text, which tells which command an error is about.
type luaScript struct {
	*rueidis.Lua
	text string
}

type scripts struct{ reserve, spend, keep, release, held, mark *luaScript }

// lua is created at the first use: the client names scripts by SHA-1, and a process that must
// not use SHA-1 has to be able to start.
var lua = sync.OnceValue(func() scripts {
	script := func(text string) *luaScript { return &luaScript{rueidis.NewLuaScript(text), text} }
	return scripts{script(reserving), script(spending), script(keeping), script(releasing), script(holding), script(marking)}
})
