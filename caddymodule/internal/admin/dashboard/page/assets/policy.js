// A widget's mode and dialect, and the switch to required mode.
import * as api from './api.js'
import { modes } from './create.js'
import { choice, chosen, dialectSelect, field, form } from './dialog.js'
import { announce, make, refill } from './dom.js'
import { number } from './format.js'
import { refresh } from './refresh.js'
import { title } from './reasons.js'

export function policy(id) {
  const mode = choice('Mode', 'mode', modes, '')
  const dialect = dialectSelect('', 'As in the site block')
  const save = make('button', { type: 'submit', class: 'primary', disabled: true }, 'Save')
  const error = make('p', { class: 'notice bad', role: 'alert', hidden: true })
  const effective = make('p', { class: 'effective' })
  const element = make('form', { novalidate: true }, mode, effective,
    field('Dialect', dialect), error, make('div', { class: 'actions' }, save))
  let stored = { mode: '', dialect: '' }
  let readiness

  const changed = () => chosen(mode) !== stored.mode || dialect.value !== stored.dialect
  element.addEventListener('input', () => { save.disabled = !changed() })
  element.addEventListener('submit', async (event) => {
    event.preventDefault()
    if (save.disabled) return
    const wanted = { mode: chosen(mode), dialect: dialect.value }
    if (wanted.mode === 'required' && stored.mode !== 'required') {
      require(id, readiness, wanted)
      return
    }
    save.disabled = true
    error.hidden = true
    try {
      await api.set(id, wanted)
      announce('Saved')
      stored = wanted
    } catch (failure) {
      error.textContent = failure.message
      error.hidden = false
    }
    save.disabled = !changed()
    refresh()
  })

  return {
    element,
    // show takes what is stored, unless the user is changing it.
    show(widget, ready) {
      readiness = ready
      refill(effective, make('b', {}, `Effective: ${widget.effective_mode || 'none'}. `), make('span', {}, widget.mode_why ?? ''))
      const pristine = !changed()
      stored = { mode: widget.mode ?? '', dialect: widget.dialect ?? '' }
      if (pristine) {
        for (const input of mode.querySelectorAll('input')) input.checked = input.value === stored.mode
        dialect.value = stored.dialect
      }
      save.disabled = !changed()
    },
  }
}

// require asks before a widget is switched to required mode, and says what that would do.
export function require(id, readiness, wanted = { mode: 'required' }) {
  const refused = readiness?.refused ?? 0
  const would = (readiness?.refusals ?? []).map(({ reason, count }) => make('li', {}, `${title(reason)} `, make('span', { class: 'count' }, number(count))))
  form(`Require verification for ${id}`, [
    make('p', {}, readiness?.verdict_text ?? 'Requests that are not verified will be refused.'),
    would.length > 0 && make('ul', { class: 'legend' }, would),
    make('p', { class: 'hint' }, 'It takes effect with the next request, and can be undone in the same way.'),
  ].filter(Boolean), {
    action: 'Switch to required',
    danger: refused > 0,
    send: async () => {
      await api.set(id, wanted)
      return () => {
        announce(`${id} is in required mode`)
        refresh()
      }
    },
  })
}
