// Public keys or a key set, which verify the tokens of a widget that has no secret.
import * as api from './api.js'
import { choice, chosen, field, form } from './dialog.js'
import { announce, make } from './dom.js'
import { refresh } from './refresh.js'

export const keyChoices = [
  ['keys', 'Public keys', 'Your server signs tokens with a private key, which stays there.'],
  ['jwks', 'Key set', 'An https URL with public keys (JWKS), such as your identity provider has.'],
]

const block = /-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g

function wrongKeys(text) {
  if (text.includes('PRIVATE KEY')) return 'This is a private key: only your server may have it. Paste its public key.'
  return text.trim() && !text.match(block) ? 'A public key in PEM begins with -----BEGIN PUBLIC KEY-----.' : ''
}

const wrongURL = (text) => (text.trim() && !text.trim().startsWith('https://') ? 'A key set is fetched by https alone.' : '')

// keyFields are the fields for what is chosen: which is a function that says what.
export function keyFields(which) {
  const pem = make('textarea', { rows: '6', autocomplete: 'off', spellcheck: 'false' })
  const url = make('input', { type: 'url', autocomplete: 'off', spellcheck: 'false' })
  const fields = {
    keys: field('The public keys', pem, 'In PEM, one after the other, at most 4.', wrongKeys),
    jwks: field('The URL of the key set', url, 'It is read every 5 minutes. The site block must require /iss and /aud.', wrongURL),
  }
  const show = () => { for (const [name, element] of Object.entries(fields)) element.hidden = which() !== name }
  show()
  return {
    elements: Object.values(fields),
    show,
    ready: () => (which() === 'keys' ? pem.value.trim() !== '' && !wrongKeys(pem.value) : url.value.trim() !== '' && !wrongURL(url.value)),
    asked: () => (which() === 'keys' ? { public_keys: pem.value.match(block) } : { jwks: url.value.trim() }),
  }
}

// replaceKeys asks for other keys.
export function replaceKeys(row) {
  const kind = choice('Tokens are verified with', 'keys', keyChoices, row.jwks ? 'jwks' : 'keys')
  const keys = keyFields(() => chosen(kind))
  kind.addEventListener('change', keys.show)
  form(`Replace the keys of ${row.id}`, [
    kind, ...keys.elements,
    make('p', { class: 'hint' }, 'What verified before stops at once. To replace a key without a gap, give the old and the new one now, and later the new one alone.'),
  ], {
    action: 'Replace',
    ready: keys.ready,
    send: async () => {
      const now = await api.set(row.id, keys.asked())
      return () => {
        announce(now.note || 'The keys were replaced')
        refresh()
      }
    },
  })
}
