# Reads form bodies with Python's own parsers: JSON lines in, JSON lines out.
import base64, email, email.policy, io, json, sys, urllib.parse, warnings

warnings.simplefilter("ignore")
try:
    import cgi
except ImportError:  # gone since Python 3.13
    cgi = None


def pair(name, value):
    enc = lambda s: base64.b64encode(s.encode("utf-8", "surrogateescape") if isinstance(s, str) else s).decode()
    return [enc(name), None if value is None else enc(value)]


def parse_qs(body, boundary):
    text = body.decode("utf-8", "surrogateescape")
    return [pair(k, v) for k, vs in urllib.parse.parse_qs(text, keep_blank_values=True).items() for v in vs]


def parse_qs_bytes(body, boundary):
    return [pair(k, v) for k, vs in urllib.parse.parse_qs(body, keep_blank_values=True).items() for v in vs]


def field_storage(content_type):
    def parse(body, boundary):
        headers = {"content-type": content_type % boundary if "%" in content_type else content_type,
                   "content-length": str(len(body))}
        form = cgi.FieldStorage(io.BytesIO(body), headers=headers, environ={"REQUEST_METHOD": "POST"},
                                keep_blank_values=True, encoding="utf-8", errors="surrogateescape")
        return [pair(f.name or "", None if f.filename or not isinstance(f.value, (str, bytes)) else f.value)
                for f in form.list or []]
    return parse


def email_parser(policy):
    def parse(body, boundary):
        head = ('Content-Type: multipart/form-data; boundary="%s"\r\n\r\n' % boundary).encode()
        message = email.message_from_bytes(head + body, policy=policy)
        if not message.is_multipart():
            return None
        out = []
        for part in message.get_payload():
            if policy is email.policy.HTTP:
                name = part["content-disposition"].params.get("name") if part["content-disposition"] else None
            else:
                name = part.get_param("name", header="content-disposition")
            if isinstance(name, tuple):
                name = email.utils.collapse_rfc2231_value(name)
            if name is not None:
                out.append(pair(name, None if part.get_filename() is not None else part.get_payload(decode=True)))
        return out
    return parse


parsers = {
    "form": {"parse_qs": parse_qs, "parse_qs bytes": parse_qs_bytes},
    "multipart": {"email": email_parser(email.policy.compat32), "email HTTP": email_parser(email.policy.HTTP)},
}
if cgi:
    parsers["form"]["cgi"] = field_storage("application/x-www-form-urlencoded")
    parsers["multipart"]["cgi"] = field_storage('multipart/form-data; boundary="%s"')

for line in sys.stdin:
    request = json.loads(line)
    answer = {}
    for name, parse in parsers[request["kind"]].items():
        try:
            answer["python " + name] = parse(base64.b64decode(request["body"]), request["boundary"])
        except Exception:
            answer["python " + name] = None
    print(json.dumps(answer), flush=True)
