// The page around the widget: who is signed in, what is sent, what arrives.
// Whatever a person typed reaches the document as text, never as HTML.
(() => {
  'use strict';

  const $ = (id) => document.getElementById(id);
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

  function element(tag, className, text) {
    const e = document.createElement(tag);
    e.className = className;
    e.textContent = text;
    return e;
  }

  function bubble(message) {
    const row = element('div', `row ${message.from}`, '');
    row.append(element('p', 'bubble', message.text));
    if (message.verified) row.append(element('small', 'mark', 'verified'));
    log.append(row);
    log.scrollTop = log.scrollHeight;
    return row;
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

  function pretty(value) {
    if (typeof value !== 'string') return JSON.stringify(value, null, 2);
    try {
      return JSON.stringify(JSON.parse(value), null, 2);
    } catch {
      return value;
    }
  }

  // code fills a listing, the lines about identity marked.
  function code(id, text) {
    const marked = /^( *)("(?:user_id|user_hash|code|reason)":.*|X-Verified-.*|X-Identity-(?:Outcome|Reason):.*)$/;
    $(id).replaceChildren(...text.split('\n').flatMap((line) => {
      const [, indent, rest] = line.match(marked) || [];
      return rest ? [indent, element('mark', '', rest), '\n'] : [line, '\n'];
    }));
  }

  function describe(claim) {
    if (!claim) return 'The widget sends no claim.';
    const hash = claim.user_hash ? `signature ${claim.user_hash.slice(0, 8)}…` : 'no signature';
    return `The widget claims to be ${claim.user_id}, ${hash}`;
  }

  function showSent(request) {
    $('sent-line').textContent = `${request.method} ${request.path}`;
    code('sent', pretty(request.body));
  }

  function showReceived(answer) {
    const card = $('received-card');
    if (answer.ok) {
      const { headers, body, claim_in_body: left, contact } = answer.body.received;
      const claimed = 'user_id' in answer.request.body || 'user_hash' in answer.request.body;
      card.className = 'card';
      $('received-title').textContent = 'What the backend received';
      $('received-line').textContent = answer.body.received.outcome === 'verified'
        ? 'The gateway’s headers say who it is. The body is as it was sent.'
        : claimed && !left.user_id && !left.user_hash
          ? 'The gateway cut the claim’s id and signature out of the body.'
          : claimed
            ? 'Nothing was checked: the claim in the body proves nothing.'
            : 'There was no claim. The body is as it was sent.';
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

  chat('on', 'history', (answer) => {
    badge(answer);
    log.replaceChildren();
    for (const m of answer.messages) bubble(m);
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
    if (answer.ok) {
      if (answer.body.received.outcome === 'verified') {
        [...log.querySelectorAll('.row.visitor')].at(-1)?.append(element('small', 'mark', 'verified'));
      }
      bubble(answer.body.reply);
      return;
    }
    const code = answer.body && answer.body.code;
    [...log.querySelectorAll('.row.visitor')].at(-1)?.classList.add('failed');
    notice(answer.status ? `Not delivered: ${answer.status} ${code || ''}` : String(answer.body), 'bad');
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
    // Someone who goes from one account straight to another must not take the
    // first one's conversation along.
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
    forged = true;
    begin(claim);
  });

  $('honest').addEventListener('click', () => {
    forged = false;
    begin(signedIn);
    $('forged-id').focus();
  });

  // An attacker has a conversation of their own, and leaves it behind.
  function begin(claim) {
    chat('reset');
    chat('identify', claim);
  }

  function made() {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  }

  // On a narrow screen the chat should not be a long way down.
  $('forge').open = matchMedia('(min-width: 60rem)').matches;

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
})();
