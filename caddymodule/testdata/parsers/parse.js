// Reads bodies and queries with Node's own parsers. The protocol is parse.py's.
'use strict';
const querystring = require('querystring');
const readline = require('readline');

function told(value) {
  if (value === undefined || value === null || value === '') return [];
  if (typeof value === 'string') return ['s' + Buffer.from(value, 'utf8').toString('base64')];
  if (Number.isInteger(value)) return ['i' + String(value)];
  return ['x' + JSON.stringify(value)];
}

const at = (document, paths) =>
  paths.flatMap((path) => told(path.reduce((value, name) => value?.[name], document)));
const named = (fields, names) => fields.flatMap(([name, value]) => (names.includes(name) ? told(value) : []));
const formData = async (q) =>
  named([...(await new Response(q.body, { headers: { 'content-type': q.type } }).formData())]
    .map(([name, value]) => [name, typeof value === 'string' ? value : ['file']]), q.names);

const json = {
  'JSON.parse': (q) => at(JSON.parse(q.body.toString('utf8')), q.paths),
  'Response.json': async (q) => at(await new Response(q.body).json(), q.paths),
};
const pairs = {
  URLSearchParams: (q) => named([...new URLSearchParams(q.body.toString('utf8'))], q.names),
  querystring: (q) => {
    const read = querystring.parse(q.body.toString('utf8'), '&', '=', { maxKeys: 0 });
    return named(Object.entries(read).flatMap(([name, value]) => [].concat(value).map((one) => [name, one])), q.names);
  },
};
const parsers = {
  query: { ...pairs, URL: (q) => named([...new URL('http://x/?' + q.body.toString('latin1')).searchParams], q.names) },
  '': json,
  form: { ...json, ...pairs, formData },
  multipart: { ...json, formData },
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const question = JSON.parse(line);
    question.body = Buffer.from(question.body, 'base64');
    const answer = {};
    for (const [name, parse] of Object.entries(parsers[question.kind])) {
      try {
        answer['node ' + name] = await parse(question);
      } catch {
        answer['node ' + name] = null;
      }
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
}
main();
