package redisledger

import (
	"sync"

	"github.com/redis/rueidis"
)

// A script is one step that nobody can come between. The client never sends one
// twice by itself: of these commands it does not know that it could.
//
// The entry's key comes first; without a cluster the marker's second and, where
// a share is touched, the share's third. The first arguments are the marker and
// the run ids of the servers that are known to remember.

// looking answers "forgot" where the server is not the one that is known, or
// has lost its data. An entry that is there needs no proof; that a key is free
// does. The run id is asked for only then, since that costs as much as the rest.
const looking = `
local function known()
	local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
	return run and string.find(ARGV[2], run, 1, true)
end
if KEYS[2] and redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'forgot'} end
local v = redis.call('GET', KEYS[1])
if not v and not known() then return {'forgot'} end
`

// counting has a share's places, each with the time when it ends. A place ends
// a little after the entry, which in a cluster is written later, by two commands'
// limits at the most: slack is more than that.
const counting = `
local slack = 5000
local function now()
	local t = redis.call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function count(share, place, ttl)
	redis.call('ZADD', share, now() + ttl + slack, place)
	local last = redis.call('ZRANGE', share, -1, -1, 'WITHSCORES')
	redis.call('PEXPIREAT', share, last[2])
end
local function take(share, place, ttl, most)
	redis.call('ZREMRANGEBYSCORE', share, '-inf', now())
	if redis.call('ZSCORE', share, place) then return true end
	if redis.call('ZCARD', share) >= most then return false end
	count(share, place, ttl)
	return true
end
`

const reserving = looking + counting + `
if v then return {'held', v} end
if KEYS[3] and not take(KEYS[3], ARGV[5], tonumber(ARGV[4]), tonumber(ARGV[6])) then return {'share'} end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return {'held', ARGV[3]}
`

// spending writes its holder's own entry again: the marker may have changed
// since, and with it how long the entry is kept.
const spending = looking + `
if v and string.sub(v, 1, 32) ~= string.sub(ARGV[3], 1, 32) then return {'held', v} end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return {'held', ARGV[3]}
`

// keeping answers "counted" where the entry has a place in a share that the
// caller has not named yet, and changes nothing then.
const keeping = looking + counting + `
if not v then return {'free'} end
if string.sub(v, 1, 32) ~= ARGV[3] or string.sub(v, 33, 40) == ARGV[4] then return {'held', v} end
if #v > 40 then
	if string.sub(v, 41) ~= ARGV[6] then return {'counted', v} end
	if KEYS[3] then count(KEYS[3], string.sub(v, 73), tonumber(ARGV[5])) end
end
v = ARGV[3] .. ARGV[4] .. string.sub(v, 41)
redis.call('SET', KEYS[1], v, 'PX', ARGV[5])
return {'held', v}
`

const releasing = looking + `
if not v then return {'free'} end
if string.sub(v, 1, 32) ~= ARGV[3] or string.sub(v, 33, 40) ~= ARGV[4] then return {'held', v} end
if #v > 40 then
	if string.sub(v, 41) ~= ARGV[6] then return {'counted', v} end
	if KEYS[3] then redis.call('ZREM', KEYS[3], string.sub(v, 73)) end
end
redis.call('DEL', KEYS[1])
return {'free'}
`

const holding = looking + `
if not v then return {'free'} end
return {'held', v}
`

// taking and extending are for a cluster, where a share is on a node of its
// own. An extension never shortens: the entry may be as long as it was.
const taking = counting + `
if take(KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])) then return 1 end
return 0
`

const extending = counting + `
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) < now() + tonumber(ARGV[2]) + slack then count(KEYS[1], ARGV[1], tonumber(ARGV[2])) end
return 1
`

// marking replaces the marker by the one to come, in which the server's time and
// its run id are put, if it is still the one that the caller saw. It returns the
// one that then stands. With "write" it writes it again as it is,
// and returns why that is not possible, if so.
const marking = `
local t = redis.call('TIME')
local ms = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local v = redis.call('GET', KEYS[1]) or ''
if ARGV[2] ~= '' and v == ARGV[1] then
	v = string.gsub(string.gsub(ARGV[2], '@now', ms), '@run', run)
	redis.call('SET', KEYS[1], v)
elseif ARGV[3] == 'write' and v ~= '' then
	local written = redis.pcall('SET', KEYS[1], v)
	if written.err then return {v, ms, run, written.err} end
end
return {v, ms, run}
`

type scripts struct{ reserve, spend, keep, release, held, take, extend, mark *rueidis.Lua }

// lua is made at the first use: the client names scripts by SHA-1, which a
// process that may not use it must be able to start without.
var lua = sync.OnceValue(func() scripts {
	return scripts{
		reserve: rueidis.NewLuaScript(reserving), spend: rueidis.NewLuaScript(spending), keep: rueidis.NewLuaScript(keeping),
		release: rueidis.NewLuaScript(releasing), held: rueidis.NewLuaScript(holding),
		take: rueidis.NewLuaScript(taking), extend: rueidis.NewLuaScript(extending),
		mark: rueidis.NewLuaScript(marking),
	}
})
