package redisstore

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"
)

// script replaces records if they are what the writer has seen. It does so for
// all it is given, or for none and answers 0. The first keys are the ids and the
// dialects, then one for each record, for which there are five arguments: the id,
// the value seen and that to come, empty for none, and the dialects of the two.
// SET comes first, since it is what Redis refuses when its memory is full.
const script = `
for i = 3, #KEYS do
  local at = (i - 3) * 5
  local seen = redis.call('GET', KEYS[i])
  if (seen or '') ~= ARGV[at + 2] then return 0 end
end
for i = 3, #KEYS do
  local at = (i - 3) * 5
  local id, next, from, to = ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  if next ~= '' then
    redis.call('SET', KEYS[i], next)
    redis.call('ZADD', KEYS[1], 0, id)
  else
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[1], id)
  end
  if from ~= to then
    if from ~= '' and redis.call('HINCRBY', KEYS[2], from, -1) <= 0 then
      redis.call('HDEL', KEYS[2], from)
    end
    if to ~= '' then redis.call('HINCRBY', KEYS[2], to, 1) end
  end
end
return 1`

// scriptSHA names the script to Redis. It is written down because a program that
// is held to FIPS 140 must not compute a SHA-1.
const scriptSHA = "75bc35be907ccf87f12fde3dbdcebc62ad7a0260"

// write is a record to be replaced.
type write struct {
	id       string
	seen     string // its value, empty for none
	next     string // what it is to be, empty for none
	from, to string // the dialects
}

// commit runs the script over groups of writes, pipelined. An answer is nil where
// others were faster.
func (s *Store) commit(ctx context.Context, client rueidis.Client, groups [][]write) []rueidis.RedisResult {
	commands := make([]rueidis.Completed, len(groups))
	for i, group := range groups {
		commands[i] = s.command(client, "EVALSHA", scriptSHA, group)
	}
	answers := client.DoMulti(ctx, commands...)
	for i, group := range groups {
		if isReply(answers[i].Error(), "NOSCRIPT") {
			answers[i] = client.Do(ctx, s.command(client, "EVAL", script, group))
		}
	}
	return answers
}

func (s *Store) command(client rueidis.Client, name, body string, group []write) rueidis.Completed {
	names := make([]string, 2, 2+len(group))
	names[0], names[1] = s.keys.ids, s.keys.dialects
	args := make([]string, 0, 5*len(group))
	for i := range group {
		w := &group[i]
		names = append(names, s.keys.record(w.id))
		args = append(args, w.id, w.seen, w.next, w.from, w.to)
	}
	return client.B().Arbitrary(name, body, strconv.Itoa(len(names))).Keys(names...).Args(args...).Build()
}
