// Creates a widget and shows its secret.
import * as api from './api.js'
import { choice, chosen, dialectSelect, field, form } from './dialog.js'
import { announce, make } from './dom.js'
import { keyChoices, keyFields } from './keys.js'
import { go, toWidget, validID } from './place.js'
import { refresh } from './refresh.js'
import { showSecret } from './secret.js'

const minSecret = 16 // bytes

export const modes = [
  ['', 'As in the site block', 'The mode in the Caddyfile, or optional.'],
  ['off', 'Off', 'Nothing is verified.'],
  ['optional', 'Optional', 'Requests that are not verified pass as anonymous.'],
  ['required', 'Required', 'Requests that are not verified are refused.'],
]

// wrongID says what is wrong with an id, '' if nothing is or nothing was typed.
function wrongID(id) {
  const foreign = id.match(/[^A-Za-z0-9._-]/u)
  if (foreign) return `${foreign[0].trim() ? `“${foreign[0]}”` : 'A space'} cannot be in an id: use letters, digits and . _ -`
  if (/^[._-]/.test(id)) return 'An id begins with a letter or digit.'
  if (id.length > 128) return `An id has at most 128 characters: this one has ${id.length}.`
  return id === 'default' ? 'The id default is reserved for secrets in site blocks: choose another.' : ''
}

function wrongSecret(secret) {
  const bytes = new TextEncoder().encode(secret).length
  if (secret && bytes < minSecret) return `A secret has at least ${minSecret} bytes: this one has ${bytes}.`
  return secret !== secret.trim() ? 'It begins or ends with a space, which would be part of it.' : ''
}

export function create(proposed = '') {
  const id = make('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'none', required: true, value: proposed })
  const own = make('input', { type: 'password', autocomplete: 'new-password', spellcheck: 'false' })
  const ownField = field('The secret', own, 'The secret that your server already signs with.', wrongSecret)
  ownField.hidden = true
  const mode = choice('Mode', 'create-mode', modes, '')
  const dialect = dialectSelect('', 'As in the site block')
  const secret = choice('Secret', 'create-secret', [['', 'Generate one'], ['own', 'Use an existing one'], ...keyChoices], '')
  const keys = keyFields(() => chosen(secret))
  const withKeys = () => chosen(secret) === 'keys' || chosen(secret) === 'jwks'
  secret.addEventListener('change', () => {
    keys.show()
    ownField.hidden = chosen(secret) !== 'own'
    if (chosen(secret) === 'own') own.focus()
    else own.value = ''
  })
  form('New widget', [
    field('Id', id, 'Letters, digits and . _ -, beginning with a letter or digit. Requests name the widget by it.', (text) => wrongID(text.trim())),
    mode,
    field('Dialect', dialect, 'Which chat product’s fields the page sends.'),
    secret, ownField, ...keys.elements,
  ], {
    action: 'Create',
    ready: () => validID.test(id.value.trim()) && !wrongID(id.value.trim()) && (!chosen(secret) || (withKeys() ? keys.ready() : own.value !== '' && !wrongSecret(own.value))),
    send: async () => {
      const asked = { id: id.value.trim() }
      if (chosen(mode)) asked.mode = chosen(mode)
      if (dialect.value) asked.dialect = dialect.value
      if (withKeys()) Object.assign(asked, keys.asked())
      else if (chosen(secret)) asked.secret = own.value
      const created = await api.create(asked)
      const open = () => {
        go(toWidget(created.id))
        refresh()
      }
      if (created.secret && !asked.secret) {
        return () => showSecret(created.secret, {
          title: `The secret of ${created.id}`,
          note: 'The widget was created. This is its secret, with which your server signs:',
          then: open,
        })
      }
      return () => {
        announce(`${created.id} was created. ${created.note ?? ''}`.trim())
        open()
      }
    },
  })
}
