#!/bin/sh
# Creates the fleet's secrets in the folder secrets, which git ignores. What is there
# already stays: without the same encryption key, the widgets in Redis are lost.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets
chmod 700 . # also where somebody else has created it
[ -s encryption_key ] || openssl rand -base64 32 >encryption_key
[ -s redis_password ] || openssl rand -hex 32 >redis_password

# The rights that gateways need (docs/fleet.md). Redis has only the password's digest. The
# user default is off, and keeps its rights for Redis to read its own file at a restart.
digest=$(tr -d '\n' <redis_password | openssl dgst -sha256 -r | cut -d ' ' -f 1)
rm -f redis_acl # which this user may not write to
cat >redis_acl <<ACL
user default off ~* &* +@all
user gateway on #$digest ~chat_identity:{w}* ~chat_identity:{l}* +get +mget +set +del +setrange +zadd +zrem +zrangebylex +hincrby +hdel +hgetall +eval +evalsha +info +ping +time +pexpireat +zcount +zrange +zremrangebyscore
ACL

# Compose mounts these files as they are, for users of other ids in the containers. On this
# machine, the folder keeps everybody else out.
chmod 444 encryption_key redis_password redis_acl
