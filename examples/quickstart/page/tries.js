// What attackers may try: to write into this conversation, and to send a signature
// again. The requests go to the gateway like the widget's, but without the widget.
import { $, showReceived, showSent, verdict } from './trace.js';

let chatting = { identity: null, mode: 'optional', conversation: '', visitor: '' };
let used = null; // the claim of the last call that was requested

// post sends a request, and shows how it ended, below the button and in the
// listings.
async function post(line, path, body, from, options) {
  const request = { method: 'POST', path, body };
  showSent(request, from);
  const answer = { request, ...await send(path, body, options) };
  showReceived(answer);
  $(line).className = answer.ok ? 'verdict good' : 'verdict bad';
  $(line).textContent = verdict(answer);
  return answer;
}

async function send(path, body, options) {
  try {
    const res = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      ...options,
    });
    const text = await res.text();
    let parsed = text;
    try {
      parsed = JSON.parse(text);
    } catch { /* shown as it is */ }
    return { ok: res.ok, status: res.status, type: res.headers.get('Content-Type') || '', body: parsed };
  } catch {
    return { ok: false, status: 0, type: '', body: 'The gateway cannot be reached. Is the demo still running?' };
  }
}

// Without the cookies of this browser, a request is like one from another browser
// that knows the ids of the conversation and of its visitor.
const elsewhere = { credentials: 'omit' };

function intrude(claim, visitor) {
  const { mode, conversation } = chatting;
  const body = { conversation, visitor, text: 'Let me in!', ...claim };
  return post('intrude-verdict', `/${mode}/chat/messages`, body, 'another browser', elsewhere);
}

$('as-user').addEventListener('click', async () => {
  const { body: claim } = await send('/session', { person: other().person }, elsewhere);
  await intrude(claim, crypto.randomUUID());
});

$('as-stranger').addEventListener('click', () => intrude({}, chatting.visitor));

function other() {
  const grace = String(chatting.identity?.user_id) === '1906';
  return grace ? { person: 'ada', name: 'Ada' } : { person: 'grace', name: 'Grace' };
}

// An empty conversation would become the attacker's.
function inhabited(yes) {
  for (const id of ['as-user', 'as-stranger']) $(id).disabled = !yes;
  $('intrude-hint').hidden = yes;
}

async function sign(old) {
  const { ok, body } = await send('/session/call', { old });
  return ok ? body : null;
}

$('call-once').addEventListener('click', async () => {
  used = await sign(false);
  await post('call-verdict', '/calls', { ...used });
  $('call-again').disabled = !used;
});
$('call-again').addEventListener('click', () => post('call-verdict', '/calls', used));

// A call that is talked in: the signature is traded for a session, which opens a WebSocket,
// whose URL is all that a browser lets a page set, and comes with each message.
let live = null;
$('call-live').addEventListener('click', async () => {
  const { ok, body } = await send('/calls/identify', { ...await sign(false) });
  if (!ok) {
    $('call-line').textContent = 'There is no session: sign in first.';
    return;
  }
  const { token } = body.session;
  live?.close();
  live = new WebSocket(`/calls/live?chat_session=${token}`);
  live.addEventListener('message', ({ data }) => { $('call-line').textContent = data; });
  await post('call-verdict', '/calls/messages', { conversation: crypto.randomUUID(), text: 'Hello?' }, 'the browser', {
    headers: { 'Content-Type': 'application/json', 'X-Chat-Session': token },
  });
});
$('call-old').addEventListener('click', async () => post('call-verdict', '/calls', { ...await sign(true) }));

chat('on', 'change', (now) => {
  if (now.conversation !== chatting.conversation) inhabited(false);
  $('intrude-verdict').textContent = '';
  chatting = now;
  $('as-user').textContent = `As ${other().name}`;
});
chat('on', 'history', (answer) => inhabited(answer.messages.length > 0));
chat('on', 'answer', (answer) => { if (answer.ok) inhabited(true); });
