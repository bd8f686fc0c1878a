// Reads queries, a line each, and prints what JSON within the fields v and c, c in base64, says.
const decoders = {
  v: { json: (s) => s },
  c: {
    buffer: (s) => Buffer.from(s, 'base64').toString(),
    url: (s) => Buffer.from(s, 'base64url').toString(),
    atob: (s) => Buffer.from(atob(s), 'latin1').toString(),
  },
};
const readers = {
  URLSearchParams: (line, name) => new URLSearchParams(line).get(name),
  querystring: (line, name) => [].concat(require('querystring').parse(line)[name]).pop(),
  raw: (line, name) => decodeURIComponent((new RegExp('(?:^|&)' + name + '=([^&]*)').exec(line) || [])[1]),
};
for (const line of require('fs').readFileSync(0, 'latin1').split('\n').slice(0, -1)) {
  const found = {};
  for (const [reader, read] of Object.entries(readers))
    for (const name of ['v', 'c'])
      for (const [decoder, decode] of Object.entries(decoders[name])) {
        try {
          const d = JSON.parse(decode(read(line, name)));
          found[`node ${reader} ${decoder}`] = ['user_id', 'user_hash', 'k'].map((k) => (d && d[k] != null ? (typeof d[k] === 'string' ? d[k] : JSON.stringify(d[k])) : ''));
        } catch {}
      }
  console.log(JSON.stringify(found));
}
