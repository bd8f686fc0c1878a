# Reads bodies and queries with Python's own parsers: JSON lines in, JSON lines
# out. A parser's answer is null where it refuses the whole, else what it reads
# as user id: "s" and base64 of a text, "i" and an integer's digits, or "x" and
# a description of anything else.
import base64
import email.message
import email.policy
import io
import json
import sys
import urllib.parse
import warnings

warnings.simplefilter("ignore")
try:
    import cgi
except ImportError:  # gone since Python 3.13
    cgi = None


def told(value):
    if value is None or value == "" or value == b"":
        return []
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return ["s" + base64.b64encode(value).decode()]
    if isinstance(value, int) and not isinstance(value, bool):
        return ["i" + str(value)]
    return ["x" + repr(value)]


def at(document, paths):
    found = []
    for path in paths:
        value = document
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        found += told(value)
    return found


def named(fields, names):
    return [t for name, value in fields if name in names for t in told(value)]


def parse_qs(text, names):
    read = urllib.parse.parse_qs(text, keep_blank_values=True)
    decoded = [(k.decode("utf-8", "replace") if isinstance(k, bytes) else k, v) for k, vs in read.items() for v in vs]
    return named(decoded, names)


def multipart(policy):
    def parse(q):
        head = b"Content-Type: " + q["type"].encode("latin-1") + b"\r\n\r\n"
        message = email.message_from_bytes(head + q["body"], policy=policy)
        fields = []
        for part in message.get_payload() if message.is_multipart() else []:
            name = part.get_param("name", header="content-disposition")
            if isinstance(name, tuple):
                name = email.utils.collapse_rfc2231_value(name)
            # A file is no text: repr tells it from one.
            value = part.get_payload(decode=True)
            fields.append((name, value if part.get_filename() is None else ["file", value]))
        return named(fields, q["names"])
    return parse


def field_storage(q):
    form = cgi.FieldStorage(io.BytesIO(q["body"]), environ={"REQUEST_METHOD": "POST"}, keep_blank_values=True,
                            headers={"content-type": q["type"], "content-length": str(len(q["body"]))})
    return named([(f.name, ["file"] if f.filename else f.value) for f in form.list or []], q["names"])


def by_charset(q):
    header = email.message.Message()
    header["Content-Type"] = q["type"] or "application/json"
    return at(json.loads(q["body"].decode(header.get_content_charset("utf-8"))), q["paths"])


JSON = {
    "json.loads by charset": by_charset,
    "json.loads": lambda q: at(json.loads(q["body"]), q["paths"]),
    "json.loads utf-8-sig": lambda q: at(json.loads(q["body"].decode("utf-8-sig")), q["paths"]),
}
PAIRS = {
    "parse_qs": lambda q: parse_qs(q["body"].decode("utf-8", "surrogateescape"), q["names"]),
    "parse_qs bytes": lambda q: parse_qs(q["body"], q["names"]),
}
FORM = dict(PAIRS)
MULTIPART = {"email": multipart(email.policy.compat32), "email HTTP": multipart(email.policy.HTTP)}
if cgi:
    FORM["cgi"] = field_storage
    MULTIPART["cgi"] = field_storage

PARSERS = {"query": PAIRS, "": JSON, "form": {**JSON, **FORM}, "multipart": {**JSON, **MULTIPART}}

for line in sys.stdin:
    question = json.loads(line)
    question["body"] = base64.b64decode(question["body"])
    answer = {}
    for name, parse in PARSERS[question["kind"]].items():
        try:
            answer["python " + name] = parse(question)
        except Exception:
            answer["python " + name] = None
    print(json.dumps(answer), flush=True)
