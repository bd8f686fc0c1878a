// The two listings: what a browser sent, and the result. Input reaches the document
// as text, never as HTML.
export const $ = (id) => document.getElementById(id);

export function element(tag, className, text) {
  const e = document.createElement(tag);
  e.className = className;
  e.textContent = text;
  return e;
}

export function pretty(value) {
  if (typeof value !== 'string') return JSON.stringify(value, null, 2);
  try {
    return JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    return value;
  }
}

const marked = new RegExp('^( *)('
  + '"(?:user_id|user_hash|hmacSignature|hmacNonce|hmacTimestamp|code|reason)":.*'
  + '|X-Verified-.*|X-Identity-(?:Outcome|Reason|Merge-From):.*)$');

// code fills a listing and marks the lines about identity.
export function code(id, text) {
  $(id).replaceChildren(...text.split('\n').flatMap((line) => {
    const [, indent, rest] = line.match(marked) || [];
    return rest ? [indent, element('mark', '', rest), '\n'] : [line, '\n'];
  }));
}

export function showSent(request, from = 'the browser') {
  $('sent-title').textContent = `What ${from} sent`;
  $('sent-line').textContent = `${request.method} ${request.path}`;
  code('sent', pretty(request.body));
}

export function showReceived(answer) {
  const card = $('received-card');
  if (answer.ok) {
    const { headers, body, contact } = answer.body.received;
    card.className = 'card';
    $('received-title').textContent = 'What the backend received';
    $('received-line').textContent = remark(answer);
    const lines = Object.keys(headers).sort().map((name) => `${name}: ${headers[name]}`);
    const parts = [lines.join('\n'), pretty(body)];
    if (contact) parts.push(`Contact on file: ${pretty(contact)}`);
    code('received', parts.join('\n\n'));
    return;
  }
  const gateway = typeof answer.body === 'object' && answer.body !== null && 'reason' in answer.body;
  card.className = 'card refused';
  $('received-title').textContent = gateway ? 'What the gateway answered' : 'The answer';
  $('received-line').textContent = gateway
    ? 'Refused at the gateway: the backend received nothing.'
    : answer.status ? 'Refused behind the gateway, by the backend.' : 'Nothing came back.';
  code('received', `${answer.status ? `HTTP ${answer.status}\nContent-Type: ${answer.type}\n\n` : ''}${pretty(answer.body)}`);
}

function remark({ request, body: { received } }) {
  if (received.merged) {
    return `The headers say who it is, and which visitor that was. The backend ${
      received.merged.messages ? `merged ${count(received.merged.messages)}` : 'had nothing to merge'}, and is not told again.`;
  }
  if (received.outcome === 'verified') return 'The gateway’s headers say who it is. The body is as it was sent.';
  const { claim_in_body: left } = received;
  if (!('user_id' in request.body || 'user_hash' in request.body)) return 'There was no claim. The body is as it was sent.';
  return left.user_id || left.user_hash
    ? 'Nothing was checked: the claim in the body proves nothing.'
    : 'The gateway cut the claim’s id and signature out of the body.';
}

export function count(messages) {
  return `${messages} message${messages === 1 ? '' : 's'}`;
}

// verdict says on one line how a request ended.
export function verdict(answer) {
  if (!answer.status) return String(answer.body);
  if (answer.ok) return `${answer.status} accepted`;
  return `${answer.status} ${(answer.body && answer.body.code) || ''}`.trim();
}
