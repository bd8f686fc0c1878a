// Deletes a widget, once its id has been typed.
import * as api from './api.js'
import { field, form } from './dialog.js'
import { announce, make } from './dom.js'
import { refresh } from './refresh.js'

// removed has when widgets were deleted on this page.
export const removed = new Map()

export function remove(id) {
  const typed = make('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'none' })
  form(`Delete ${id}`, [
    make('p', {}, 'Its secrets are deleted with it, at once and permanently. Requests that name it will then name an unknown widget: in required mode they are refused.'),
    field(['Type ', make('code', {}, id), ' to confirm'], typed),
  ], {
    action: 'Delete the widget',
    danger: true,
    ready: () => typed.value.trim() === id,
    send: async () => {
      await api.remove(id)
      return () => {
        announce(`${id} was deleted`)
        removed.set(id, new Date())
        refresh()
      }
    },
  })
}
