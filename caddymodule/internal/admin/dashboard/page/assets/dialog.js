// Dialogs. Each is created when it opens and removed with its contents when it closes.
import { make } from './dom.js'

let count = 0

// open shows a dialog. Its content is given the function that closes it.
export function open(title, content, { beforeClose, wide } = {}) {
  const heading = `dialog-${++count}`
  const dialog = make('dialog', { 'aria-labelledby': heading, class: wide ? 'wide' : undefined })
  const close = () => {
    dialog.close()
    dialog.remove()
  }
  dialog.append(make('h2', { id: heading }, title), ...content(close))
  dialog.addEventListener('cancel', (event) => {
    if (beforeClose && !beforeClose()) event.preventDefault()
  })
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
  return dialog
}

// form is a dialog with fields. What send throws is shown, and the fields stay.
export function form(title, fields, { action, danger, send, ready = () => true }) {
  return open(title, (close) => {
    const error = make('p', { class: 'notice bad', role: 'alert', hidden: true })
    const submit = make('button', { type: 'submit', class: danger ? 'danger' : 'primary', disabled: !ready() }, action)
    const element = make('form', { novalidate: true }, ...fields, error, make('div', { class: 'actions' },
      make('button', { type: 'button', on: { click: close } }, 'Cancel'), submit))
    element.addEventListener('input', () => { submit.disabled = !ready() })
    element.addEventListener('submit', async (event) => {
      event.preventDefault()
      if (submit.disabled) return
      submit.disabled = true
      error.hidden = true
      try {
        const then = await send()
        close()
        then?.()
      } catch (failure) {
        error.textContent = failure.message
        error.hidden = false
      } finally {
        submit.disabled = !ready()
      }
    })
    return [element]
  })
}

let fields = 0

// field is an input with its label, a hint, and what is wrong with what is typed.
export function field(label, input, hint, wrong) {
  const id = `field-${++fields}`
  input.id = id
  const said = hint && make('p', { class: 'hint', id: `${id}-hint` }, ...[hint].flat())
  if (said) input.setAttribute('aria-describedby', said.id)
  if (wrong) {
    const usual = said.textContent
    const check = () => {
      const fault = wrong(input.value)
      input.setAttribute('aria-invalid', String(fault !== ''))
      said.classList.toggle('wrong', fault !== '')
      said.textContent = fault || usual
    }
    said.setAttribute('role', 'status')
    input.addEventListener('input', check)
  }
  return make('div', { class: 'field' }, make('label', { for: id }, label), input, said)
}

// choice is a group of radio buttons, of [value, label, hint].
export function choice(legend, name, options, chosen) {
  return make('fieldset', { class: 'choice' }, make('legend', {}, legend), options.map(([value, label, hint]) => make('label', {},
    make('input', { type: 'radio', name, value, checked: value === chosen }),
    make('span', {}, make('b', {}, label), hint && make('span', { class: 'hint' }, hint)))))
}

export const chosen = (group) => group.querySelector('input:checked')?.value

// The gateway writes all of its dialects here.
export const dialects = ['bookbag']

export function dialectSelect(value, none) {
  const select = make('select', {}, none && make('option', { value: '' }, none), dialects.map((name) => make('option', { value: name }, name)))
  select.value = value ?? ''
  return select
}
