# Has Python's own decoders read texts: JSON lines in, JSON lines out.
import base64, codecs, email, email.header, email.policy, email.utils, html, json, quopri, sys, urllib.parse, warnings

warnings.simplefilter("ignore")


def strings(value):
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in [k, *strings(v)]]
    if isinstance(value, list):
        return [s for v in value for s in strings(v)]
    return [value] if isinstance(value, str) else []


def twice(text):
    out = []
    for value in strings(json.loads(text)):
        try:
            out += strings(json.loads(value))
        except ValueError:
            pass
    return out


def header_values(policy):
    def read(text):
        message = email.message_from_bytes(text + b"\r\n\r\n", policy=policy)
        out = []
        for header in ("content-disposition", "content-type"):
            for name, value in message.get_params(failobj=[], header=header):
                out.append(email.utils.collapse_rfc2231_value(value))
        out.append(message.get_filename() or "")
        return out
    return read


def words(text):
    # Values, and the parameters in them, as programs decode them by hand.
    message = email.message_from_bytes(text + b"\r\n\r\n")
    out = []
    for _, value in message.items():
        out.append(str(email.header.make_header(email.header.decode_header(value))))
    for header in ("content-disposition", "content-type"):
        for name, value in message.get_params(failobj=[], header=header):
            value = email.utils.collapse_rfc2231_value(value)
            out.append(str(email.header.make_header(email.header.decode_header(value))))
    return out


text_of = lambda text: text.decode("utf-8", "surrogateescape")
decoders = {
    "json": lambda text: strings(json.loads(text)),
    "json twice": twice,
    "parse_qsl": lambda text: [s for pair in urllib.parse.parse_qsl(text_of(text), keep_blank_values=True) for s in pair],
    "unquote_to_bytes": lambda text: [urllib.parse.unquote_to_bytes(text)],
    "quopri": lambda text: [quopri.decodestring(text)],
    "html": lambda text: [html.unescape(text_of(text))],
    "unicode_escape": lambda text: [codecs.decode(text, "unicode_escape")],
    "cp1252": lambda text: [text.decode("cp1252")],
    "cp1251 form": lambda text: [urllib.parse.unquote(text_of(text), "cp1251")],
}
for charset in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
    decoders[charset] = lambda text, charset=charset: [text.decode(charset)]
    decoders[charset + " json"] = lambda text, charset=charset: strings(json.loads(text.decode(charset)))
headers = {
    "email": header_values(email.policy.compat32),
    "email HTTP": header_values(email.policy.HTTP),
    "email words": words,
}

for line in sys.stdin:
    asked = json.loads(line)
    text = base64.b64decode(asked["text"])
    answer = {}
    for name, decode in (headers if asked["header"] else decoders).items():
        try:
            found = decode(text)
        except Exception:
            continue
        answer[name] = [base64.b64encode(s if isinstance(s, bytes) else s.encode("utf-8", "surrogatepass" if not any(
            0xdc80 <= ord(c) <= 0xdcff for c in s) else "surrogateescape")).decode() for s in found]
    print(json.dumps(answer), flush=True)
