#!/bin/sh
# Installs what the long differential run asks: Debian's packages of servers and
# frameworks, and Node's packages in a folder outside the repository, whose path it
# prints.
set -eu
cd "$(dirname "$0")/backends"

packages="python3 python3-django python3-werkzeug python3-tornado python3-starlette python3-multipart python3-bottle
python3-aiohttp python3-falcon python3-webob python3-simplejson php-cli ruby ruby-rack puma ruby-actionpack ruby-oj ruby-yajl
default-jdk-headless libtomcat10-embed-java libgoogle-gson-java libjackson2-databind-java libspring-web-java libspring-context-java
libcommons-fileupload-java libcommons-io-java libcommons-logging-java libjetty9-java libservlet-api-java"
missing=
for package in $packages; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	{ command -v apt-get && $sudo apt-get update -q &&
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >&2 || {
		echo "The long run needs Debian's packages$missing, and apt-get could not install them here." >&2
		exit 1
	}
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/chat-identity-fuzz
if ! cmp -s package-lock.json "$cache/installed"; then
	mkdir -p "$cache"
	cp package.json package-lock.json "$cache"
	(cd "$cache" && npm ci --ignore-scripts --no-audit --no-fund) >&2 || {
		echo "The long run needs Node's packages of internal/parsertest/backends/package.json, and npm could not install them in $cache." >&2
		exit 1
	}
	cp package-lock.json "$cache/installed"
fi
echo "$cache"
