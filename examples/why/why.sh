#!/usr/bin/env bash
# Starts the chat backends and the gateways of this folder, and a Bash in which the commands of docs/why.md
# work. All of it ends with that. Each NAME_PORT can be set.
set -euo pipefail
cd "$(dirname "$0")"

export SECRET=an-example-secret-do-not-use OLD_SECRET=last-year-s-example-secret ONCE_SECRET=a-third-example-secret
export SECRET_BASE64 OLD_SECRET_BASE64
SECRET_BASE64=$(printf %s "$SECRET" | base64)
OLD_SECRET_BASE64=$(printf %s "$OLD_SECRET" | base64)
port=9400
for name in GATEWAY OPTIONAL ONCE STORED ADMIN FORWARD_AUTH DOCUMENTED HAPROXY NGINX VERIFIER NODE FIXED PHP GO; do
	variable=${name}_PORT
	port=$((port + 1))
	export "$variable=${!variable:-$port}"
	export "$name=http://127.0.0.1:${!variable}"
	if (: <"/dev/tcp/127.0.0.1/${!variable}") 2>/dev/null; then
		echo "Port ${!variable} is in use, by another \`make why\` perhaps: end that, or choose another port with $variable=<port>." >&2
		exit 1
	fi
done

unset CHAT_IDENTITY_SECRET BASH_ENV
home=$(mktemp -d)
log=$home/log
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait; rm -rf "$home"' EXIT
serve() { # <port> <command>...
	local port=$1
	shift
	PORT=$port "$@" >>"$log" 2>&1 &
	started+=($!)
	for _ in {1..600}; do
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
		kill -0 $! 2>/dev/null || break
		sleep 0.1
	done
	echo "$1 does not serve:" >&2
	cat "$log" >&2
	exit 1
}
mkdir "$home/bin" "$home/nginx"
ln -s "$(realpath "${GATEWAY_BINARY:-../../caddy}")" "$home/bin/caddy"
ln -s "$PWD/send.sh" "$home/bin/send"
export PATH=$home/bin:$PATH:/usr/sbin XDG_DATA_HOME=$home XDG_CONFIG_HOME=$home TMPDIR=$home
serve "$PHP_PORT" php -S "127.0.0.1:$PHP_PORT" chat.php
serve "$GO_PORT" "${GO_BACKEND:-../../bin/why-backend}" "127.0.0.1:$GO_PORT"
serve "$NODE_PORT" node own.js
serve "$FIXED_PORT" node own.fixed.js
serve "$VERIFIER_PORT" php -S "127.0.0.1:$VERIFIER_PORT" verifier.php
serve "$HAPROXY_PORT" haproxy -db -f haproxy.cfg
sed -e "s/\${NGINX_PORT}/$NGINX_PORT/; s/\${PHP_PORT}/$PHP_PORT/; s/\${GO_PORT}/$GO_PORT/" \
	-e "s|load_module modules|load_module /usr/lib/nginx/modules|" nginx.conf >"$home/nginx/nginx.conf"
serve "$NGINX_PORT" nginx -g "user $(id -un) $(id -gn);" -p "$home/nginx" -e stderr -c "$home/nginx/nginx.conf"
serve "$FORWARD_AUTH_PORT" caddy run --config forward_auth.Caddyfile
serve "$GATEWAY_PORT" caddy run --config gateway.Caddyfile

printf 'silent\nmax-time = 60\n' >"$home/.curlrc"
export CURL_HOME=$home
echo "The commands of docs/why.md work in this shell. It ends with: exit" >&2
bash --norc || true # whatever its last command was
