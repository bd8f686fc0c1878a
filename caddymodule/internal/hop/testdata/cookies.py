# Reads Cookie fields with Python's own parser: a base64 line in, what it reads as
# the cookie "v" as base64 out, or an empty line for nothing.
import base64
import http.cookies
import sys

for line in sys.stdin:
    text, value = base64.b64decode(line).decode("latin-1"), ""
    try:
        read = http.cookies.SimpleCookie(text)
        value = read["v"].value if "v" in read else ""
    except http.cookies.CookieError:
        pass
    print(base64.b64encode(value.encode("latin-1")).decode(), flush=True)
