// The chat widget's client. A website drives it by commands:
//
//   chat('identify', claim)   claim: {user_id, user_hash, user_metadata}, or null
//   chat('reset')             forgets the user: a new visitor, a new conversation
//   chat('send', text)
//   chat('mode', name)        off, optional or required: which route of the demo to use
//   chat('on', event, f)      change, identified, sent, answer, history
(() => {
  'use strict';

  const modes = ['off', 'optional', 'required'];
  const stored = 'chat-identity-demo';
  const listeners = new Map();
  let identity = null;
  let mode = 'optional';
  let place = load() || fresh();
  let line = Promise.resolve(); // requests leave one after the other
  let asked = false; // a history request stands in the line

  // The visitor id says which anonymous visitor this was, once they sign in. It
  // proves nothing, and a reset chooses a new one.
  function fresh() {
    return { visitor: crypto.randomUUID(), conversation: crypto.randomUUID(), identified: false };
  }

  function load() {
    try {
      const p = JSON.parse(localStorage.getItem(stored));
      return p && p.visitor && p.conversation ? p : null;
    } catch {
      return null;
    }
  }

  function save() {
    try {
      localStorage.setItem(stored, JSON.stringify(place));
    } catch { /* without storage, a reload begins anew */ }
  }

  function emit(event, detail) {
    for (const f of listeners.get(event) || []) f(detail);
  }

  function moved(to) {
    place = to;
    save();
    emit('change', { identity, mode, ...place });
  }

  function changed() {
    moved(place);
    if (asked) return;
    asked = true;
    line = line.then(async () => {
      asked = false;
      await ask();
      await history();
    });
  }

  function identify(claim) {
    if (claim === null || claim === undefined) {
      // The conversation stays with the user who has signed out.
      if (identity || place.identified) return reset();
      return changed();
    }
    identity = { ...claim };
    place.identified = true;
    changed();
  }

  function reset() {
    identity = null;
    place = fresh();
    changed();
  }

  function setMode(name) {
    if (!modes.includes(name)) throw new TypeError(`chat: no mode ${name}`);
    mode = name;
    changed();
  }

  function on(event, f) {
    listeners.set(event, [...(listeners.get(event) || []), f]);
  }

  // Every message carries the claim, as the products' widgets do.
  function send(text) {
    line = line.then(async () => {
      const body = { conversation: place.conversation, visitor: place.visitor, text, ...identity };
      const request = { method: 'POST', path: `/${mode}/chat/messages`, body };
      emit('sent', request);
      emit('answer', { request, ...await post(request) });
    });
  }

  // The gateway says who the user is, without a message.
  async function ask() {
    const request = { method: 'POST', path: `/${mode}/chat/identify`, body: { ...identity } };
    emit('identified', { request, ...await post(request) });
  }

  function post({ path, body }) {
    return call(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  // A GET has no body, so the claim is sent in the query.
  function fetchHistory() {
    const query = new URLSearchParams({ conversation: place.conversation, visitor: place.visitor });
    for (const field of ['user_id', 'user_hash']) {
      if (identity && identity[field] !== undefined) query.set(field, identity[field]);
    }
    return call(`/${mode}/chat/messages?${query}`, {});
  }

  async function history() {
    let answer = await fetchHistory();
    if (answer.status === 403 && (answer.body.code === 'not_yours' || answer.body.reason === 'conversation_claimed')) {
      // The user is now someone else than the one who began the conversation.
      moved({ ...fresh(), identified: place.identified });
      answer = await fetchHistory();
    }
    if (answer.ok && answer.body.conversation !== place.conversation) {
      // A known user on a new device continues the conversation.
      moved({ ...place, conversation: answer.body.conversation });
    }
    emit('history', { ...answer, messages: answer.ok ? answer.body.messages : [] });
  }

  async function call(path, options) {
    try {
      const res = await fetch(path, options);
      const text = await res.text();
      let body = text;
      try {
        body = JSON.parse(text);
      } catch { /* shown as it is */ }
      return { ok: res.ok && typeof body === 'object' && body !== null, status: res.status, type: res.headers.get('Content-Type') || '', body };
    } catch {
      return { ok: false, status: 0, type: '', body: 'The gateway cannot be reached. Is the demo still running?' };
    }
  }

  const commands = { identify, reset, send, mode: setMode, on };
  const waiting = (window.chat && window.chat.q) || [];
  window.chat = function (name, ...args) {
    if (!Object.hasOwn(commands, name)) throw new TypeError(`chat: no command ${name}`);
    commands[name](...args);
  };
  for (const args of waiting) window.chat(...args);
})();
