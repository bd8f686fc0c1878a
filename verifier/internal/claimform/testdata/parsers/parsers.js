// Reads form bodies with Node's own parsers: JSON lines in, JSON lines out.
'use strict';
const querystring = require('querystring');

const b64 = (s) => Buffer.from(s, 'utf8').toString('base64');
const entries = (list) => list.map(([k, v]) => [b64(k), typeof v === 'string' ? b64(v) : null]);
const formData = async (body, type) =>
  entries([...(await new Response(body, { headers: { 'content-type': type } }).formData())]);

const parsers = {
  form: {
    URLSearchParams: (body) => entries([...new URLSearchParams(body.toString('utf8'))]),
    'URLSearchParams of decoded text': (body) => entries([...new URLSearchParams(new TextDecoder().decode(body))]),
    querystring: (body) =>
      entries(Object.entries(querystring.parse(body.toString('utf8'), '&', '=', { maxKeys: 0 }))
        .flatMap(([k, v]) => [].concat(v).map((one) => [k, one]))),
    formData: (body) => formData(body, 'application/x-www-form-urlencoded'),
  },
  multipart: {
    formData: (body, boundary) => formData(body, `multipart/form-data; boundary="${boundary}"`),
  },
};

async function main() {
  for await (const line of require('readline').createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const request = JSON.parse(line);
    const answer = {};
    for (const [name, parse] of Object.entries(parsers[request.kind])) {
      try {
        answer['node ' + name] = await parse(Buffer.from(request.body, 'base64'), request.boundary);
      } catch {
        answer['node ' + name] = null;
      }
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
}
main();
