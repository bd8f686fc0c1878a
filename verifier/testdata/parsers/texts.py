# As texts.js.
import base64, json, sys
from urllib.parse import parse_qs
decoders = {'v': {'json': lambda s: s}, 'c': {
    'b64decode': base64.b64decode, 'strict': lambda s: base64.b64decode(s, validate=True), 'urlsafe': base64.urlsafe_b64decode,
    'padded': lambda s: base64.b64decode(s + '=' * (-len(s) % 4)), 'urlsafe padded': lambda s: base64.urlsafe_b64decode(s + '=' * (-len(s) % 4))}}
for line in sys.stdin.buffer.read().decode('latin1').split('\n')[:-1]:
    found = {}
    for name in decoders:
        for decoder, decode in decoders[name].items():
            for at in 0, -1:
                for strict in True, False:
                    try:
                        d = json.loads(decode(parse_qs(line, keep_blank_values=True)[name][at]), strict=strict)
                        texts = [d.get(k) for k in ('user_id', 'user_hash', 'k')]
                        texts = ['' if t is None else t if isinstance(t, str) else json.dumps(t, ensure_ascii=False, separators=(',', ':')) for t in texts]
                        found['python %s %d %s' % (decoder, at, strict)] = [t.encode('utf8', 'replace').decode() for t in texts]
                    except Exception:
                        pass
    print(json.dumps(found))
