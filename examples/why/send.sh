#!/usr/bin/env bash
# send <name>... <curl option>...: sends one request to each of the servers of why.sh, with curl, and prints
# who answers what. Of a problem document it prints the reason, of a page of HTML the status. GATEWAY/go is the Go backend behind GATEWAY.
while [[ $# -gt 0 && $1 != -* ]]; do
	names+=("$1")
	shift
done
for name in "${names[@]}"; do
	server=${name%%/*}
	answer=$(curl --silent --max-time 60 -w '\n%{http_code}' "$@" "${!server}${name#"$server"}/chat")
	body=$(sed -E '$d; s/.*"reason":"([a-z_]*)".*/\1/' <<<"$answer")
	[[ $body != '<'* ]] || body= # a page of HTML
	status=${answer##*$'\n'}
	printf '%-12s %s%s\n' "$name" "${status/000/no answer}" "${body:+ $body}"
done
