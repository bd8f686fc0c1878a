// The code that signs, for the widget's dialect: tabs by language.
import { snippets } from './api.js'
import { dialects, dialectSelect, field } from './dialog.js'
import { copyButton, make } from './dom.js'

let language = 'node' // the one that was chosen last, for the next widget, too

export function signing(id) {
  const select = dialectSelect('bookbag')
  const pick = field('Dialect', select, 'The widget has none of its own: choose the one of its site block.')
  const signed = make('p', { class: 'hint' })
  const tabs = make('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Language' })
  const code = make('code')
  const panel = make('div', { id: 'snippet', class: 'snippet', role: 'tabpanel', tabindex: '0' }, make('pre', {}, code))
  const browser = make('code')
  const error = make('p', { class: 'notice bad', role: 'alert', hidden: true })
  const element = make('div', { class: 'signing' }, pick, signed, error,
    make('div', { class: 'snippet-head' }, tabs, copyButton('Copy', () => code.textContent)), panel,
    make('h3', {}, 'In your page'),
    make('div', { class: 'snippet', tabindex: '0', role: 'group', 'aria-label': 'Code of the page' }, make('pre', {}, browser)))
  let loaded = ''
  let found

  function draw() {
    tabs.replaceChildren(...found.snippets.map((snippet) => make('button', {
      type: 'button', role: 'tab', id: `tab-${snippet.language}`, 'aria-controls': 'snippet',
      'aria-selected': String(snippet.language === language), tabindex: snippet.language === language ? '0' : '-1',
      on: { click: () => choose(snippet.language) },
    }, snippet.title)))
    const snippet = found.snippets.find((one) => one.language === language) ?? found.snippets[0]
    panel.setAttribute('aria-labelledby', `tab-${snippet.language}`)
    code.textContent = snippet.code
    browser.textContent = snippet.browser
    signed.replaceChildren('The signed message is ', make('code', {}, found.message), '; the fields sent are ',
      ...found.fields.flatMap((name, i) => [i === 0 ? '' : i === found.fields.length - 1 ? ' and ' : ', ', make('code', {}, name)]),
      '. Lines such as message, claim or encoding in the site block take precedence.')
  }

  function choose(name) {
    language = name
    draw()
    document.getElementById(`tab-${name}`).focus()
  }

  tabs.addEventListener('keydown', (event) => {
    const names = found.snippets.map((snippet) => snippet.language)
    const at = names.indexOf(language)
    const to = { ArrowRight: (at + 1) % names.length, ArrowLeft: (at + names.length - 1) % names.length, Home: 0, End: names.length - 1 }[event.key]
    if (to === undefined) return
    event.preventDefault()
    choose(names[to])
  })

  async function load(dialect) {
    if (loaded === dialect) return
    loaded = dialect
    try {
      const answer = await snippets({ dialect, widget: id })
      if (loaded !== dialect) return // another was chosen meanwhile
      found = answer
      error.hidden = true
      draw()
    } catch (failure) {
      if (loaded !== dialect) return
      loaded = ''
      error.textContent = failure.message
      error.hidden = false
    }
  }
  select.addEventListener('change', () => load(select.value))

  return {
    element,
    show(widget) {
      const own = dialects.includes(widget.dialect) ? widget.dialect : ''
      pick.hidden = own !== ''
      return load(own || select.value)
    },
  }
}
