// Gives a widget a new secret.
import * as api from './api.js'
import { choice, chosen, field, form } from './dialog.js'
import { announce, make } from './dom.js'
import { refresh } from './refresh.js'
import { showSecret } from './secret.js'

const graces = [
  ['', 'End it now', 'After a leak: earlier secrets verify no later request.'],
  ['1h', '1 hour'],
  ['24h', '24 hours', 'Both verify meanwhile. Put the new one on your servers within that time.'],
  ['7d', '7 days'],
  ['own', 'Another duration'],
]

const duration = /^(\d+(\.\d+)?(d|h|m|s|ms))+$/

export function rotate(id) {
  const grace = choice('The current secret', 'grace', graces, '24h')
  const own = make('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', placeholder: '36h' })
  const ownField = field('How long it still verifies', own, 'Such as 90m, 36h or 14d, up to a year.')
  ownField.hidden = true
  grace.addEventListener('change', () => {
    ownField.hidden = chosen(grace) !== 'own'
    if (!ownField.hidden) own.focus()
  })
  const written = () => (chosen(grace) === 'own' ? own.value.trim() : chosen(grace))
  form(`Rotate the secret of ${id}`, [grace, ownField], {
    action: 'Generate a new secret',
    ready: () => chosen(grace) !== 'own' || duration.test(own.value.trim()),
    send: async () => {
      const created = await api.rotate(id, written())
      return () => showSecret(created.secret, {
        title: `The new secret of ${id}`,
        note: written() ? 'Sign with it from now on. The previous one verifies until its grace ends.' : 'Sign with it from now on. Every earlier one has stopped verifying.',
        then: refresh,
      })
    },
  })
}

// endGrace asks before earlier secrets stop verifying. uses says when each was used.
export function endGrace(id, uses) {
  form(`End the grace of ${id}`, [
    make('p', {}, 'The previous secret verifies no later request, on any gateway. The current one stays as it is.'),
    make('ul', {}, uses.filter(Boolean).map((said) => make('li', {}, `On this gateway, the previous secret was ${said}.`))),
    make('p', { class: 'hint' }, 'A server that still signs with it will have its users refused, or treated as anonymous. In a fleet, look at the other gateways, too.'),
  ], {
    action: 'End the grace',
    danger: true,
    send: async () => {
      await api.endGrace(id)
      return () => {
        announce('The grace has ended')
        refresh()
      }
    },
  })
}

export async function reveal(id) {
  const shown = await api.reveal(id)
  showSecret(shown.secret, { title: `The secret of ${id}`, note: 'The current secret, with which your server signs:', again: true })
}
