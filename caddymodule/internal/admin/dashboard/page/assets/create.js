// Creates a widget and shows its secret.
import * as api from './api.js'
import { choice, chosen, dialectSelect, field, form } from './dialog.js'
import { make } from './dom.js'
import { refresh } from './refresh.js'
import { showSecret } from './secret.js'

const valid = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

export const modes = [
  ['', 'As in the site block', 'The mode in the Caddyfile, or optional.'],
  ['off', 'Off', 'Nothing is verified.'],
  ['optional', 'Optional', 'Requests that are not verified pass as anonymous.'],
  ['required', 'Required', 'Requests that are not verified are refused.'],
]

export function create() {
  const id = make('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'none', required: true, maxlength: '128' })
  const mode = choice('Mode', 'create-mode', modes, '')
  const dialect = dialectSelect('', 'As in the site block')
  form('New widget', [
    field('Id', id, 'Letters, digits and . _ -, beginning with a letter or digit. Requests name the widget by it.'),
    mode,
    field('Dialect', dialect, 'Which chat product’s fields the page sends.'),
  ], {
    action: 'Create',
    ready: () => valid.test(id.value.trim()),
    send: async () => {
      const asked = { id: id.value.trim() }
      if (chosen(mode)) asked.mode = chosen(mode)
      if (dialect.value) asked.dialect = dialect.value
      const created = await api.create(asked)
      return () => showSecret(created.secret, {
        title: `The secret of ${created.id}`,
        note: 'The widget was created. This is its secret, with which your server signs:',
        then: () => {
          location.hash = `#/widgets/${encodeURIComponent(created.id)}`
          refresh()
        },
      })
    },
  })
}
