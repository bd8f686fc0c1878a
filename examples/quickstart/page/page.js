// The page around the widget: who is signed in, what is sent, what arrives.
import { $, code, count, element, pretty, showReceived, showSent, verdict } from './trace.js';

const log = $('log');
let signedIn = null; // the claim that the website's server signed
let forged = false;

const badges = {
  verified: ['good', 'Verified'],
  anonymous: ['plain', 'Anonymous'],
  invalid: ['bad', 'Invalid signature'],
  expired: ['warn', 'Expired'],
  replayed: ['bad', 'Replayed'],
  unavailable: ['warn', 'Unavailable'],
  malformed: ['bad', 'Malformed'],
  disabled: ['plain', 'Not checked'],
};
const hints = {
  off: 'The gateway checks nothing and vouches for nobody.',
  optional: 'Anybody may chat. A claim that does not verify is cut out on the way.',
  required: 'Only a verified user gets through. Everybody else is refused.',
};

function bubble(message) {
  const row = element('div', `row ${message.from}`, '');
  row.append(element('p', 'bubble', message.text));
  if (message.verified) mark(row, 'verified');
  if (message.merged) mark(row, 'merged');
  log.append(row);
  log.scrollTop = log.scrollHeight;
  return row;
}

function mark(row, text) {
  row.append(element('small', 'mark', text));
}

function notice(text, kind) {
  log.append(element('p', `notice ${kind}`, text));
  log.scrollTop = log.scrollHeight;
}

function welcome() {
  if (!log.childElementCount) notice('Say hello, and see what the support desk may know about you.', '');
}

function badge(answer) {
  const [kind, text] = answer.ok
    ? badges[answer.body.received.outcome] || ['plain', answer.body.received.outcome]
    : answer.status ? ['bad', `Refused · ${answer.status}`] : ['warn', 'Offline'];
  $('badge').className = `badge ${kind}`;
  $('badge').textContent = text;
}

function describe(claim) {
  if (!claim) return 'The widget sends no claim.';
  const hash = claim.user_hash ? `signature ${claim.user_hash.slice(0, 8)}…` : 'no signature';
  return `The widget claims to be ${claim.user_id}, ${hash}`;
}

chat('on', 'change', ({ identity, mode }) => {
  $('claim').textContent = describe(identity);
  $('claim').classList.toggle('alarm', forged);
  $('mode-hint').textContent = hints[mode];
  $('honest').hidden = !forged;
  if ($('own-hash').disabled === Boolean(signedIn)) {
    $('own-hash').disabled = !signedIn;
    $('forged-hash').value = signedIn ? 'own' : 'random';
  }
});

function identified({ ok, body }) {
  if (!ok) return 'The gateway refused to say who this is.';
  if (body.status === 'disabled') return 'The gateway does not check, so it does not say.';
  if (body.verified) return `The gateway says: this is ${body.user.id}.`;
  return Object.keys(body.prefill).length
    ? 'Not verified. What the browser says of itself may fill in a form, no more.'
    : 'The gateway knows of nobody.';
}

chat('on', 'identified', (answer) => {
  $('identified-line').textContent = identified(answer);
  $('identified-path').textContent = `POST ${answer.request.path} ${answer.status}`;
  code('identified', answer.ok ? JSON.stringify(answer.body) : pretty(answer.body));
});

chat('on', 'history', (answer) => {
  badge(answer);
  log.replaceChildren();
  for (const m of answer.messages) bubble(m);
  const foreign = (m) => m.from === 'visitor' && !m.verified && !m.merged;
  if (answer.ok && answer.body.received.merge_from && answer.messages.some(foreign)) {
    notice('Written before you signed in. With your next message it becomes yours.', 'pending');
  }
  welcome();
});

chat('on', 'sent', (request) => {
  log.querySelector('.notice:only-child')?.remove();
  showSent(request);
  bubble({ from: 'visitor', text: request.body.text });
});

chat('on', 'answer', (answer) => {
  badge(answer);
  showReceived(answer);
  const rows = [...log.querySelectorAll('.row.visitor')];
  if (!answer.ok) {
    rows.at(-1)?.classList.add('failed');
    notice(answer.status ? `Not delivered: ${verdict(answer)}` : verdict(answer), 'bad');
    return;
  }
  const { received, reply } = answer.body;
  if (received.outcome === 'verified') {
    const sent = rows.pop();
    if (sent) mark(sent, 'verified');
  }
  if (received.merged?.messages) {
    for (const row of rows.filter((r) => !r.matches('.failed') && !r.querySelector('.mark'))) mark(row, 'merged');
    log.querySelector('.pending')?.remove();
    notice(`Merged: ${count(received.merged.messages)} of visitor ${received.merged.visitor.slice(0, 8)}…, who is ${received.user} now`, '');
  }
  bubble(reply);
});

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text) return;
  $('text').value = '';
  chat('send', text);
});

$('modes').addEventListener('change', (event) => chat('mode', event.target.value));
$('modes').addEventListener('submit', (event) => event.preventDefault());
$('session').addEventListener('submit', (event) => event.preventDefault());

$('session').addEventListener('change', async (event) => {
  const res = await fetch('/session', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ person: event.target.value }),
  });
  forged = false;
  // A user who switches directly from one account to another must not keep the
  // first one's conversation.
  if (signedIn) chat('reset');
  signedIn = res.ok ? await res.json() : null;
  chat('identify', signedIn);
});

$('forge').querySelector('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const claim = { user_id: $('forged-id').value };
  const kind = $('forged-hash').value;
  if (kind !== 'none') {
    claim.user_hash = kind === 'own' ? signedIn.user_hash : made();
  }
  claim.user_metadata = { name: 'Mallory', email: 'mallory@example.com' };
  forged = true;
  begin(claim);
});

$('honest').addEventListener('click', () => {
  forged = false;
  begin(signedIn);
  $('forged-id').focus();
});

// An attacker has another conversation, which is left behind.
function begin(claim) {
  chat('reset');
  chat('identify', claim);
}

function made() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

// On a narrow screen the chat should not be a long way down.
for (const id of ['forge', 'intrude', 'call']) $(id).open = matchMedia('(min-width: 60rem)').matches;

async function start() {
  const checked = new FormData($('modes')).get('mode');
  if (checked !== 'optional') chat('mode', checked); // the browser restores forms
  const res = await fetch('/session');
  signedIn = res.ok ? await res.json() : null;
  const person = signedIn ? signedIn.user_metadata.name.split(' ')[0].toLowerCase() : '';
  for (const radio of $('session').elements.person) radio.checked = radio.value === person;
  chat('identify', signedIn);
}
start();
