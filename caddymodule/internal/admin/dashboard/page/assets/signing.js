// The code that signs, for the widget's dialect: tabs by language.
import { snippets } from './api.js'
import { dialectSelect, field } from './dialog.js'
import { copyButton, make, refill } from './dom.js'

let language = 'node' // the one that was chosen last, for the next widget, too

export function signing(id) {
  // Of several sites that verify its requests, one is chosen; without any, a dialect.
  const site = make('select')
  const ofSite = field('Where', site, 'Several handlers verify this widget’s requests.')
  const dialect = dialectSelect('bookbag')
  const ofDialect = field('Dialect', dialect, 'No handler verifies this widget’s requests yet: choose how they will be sent.')
  ofSite.hidden = ofDialect.hidden = true // until it is known which of them there is to choose
  const signed = make('p', { class: 'hint' })
  const tabs = make('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Language' })
  const code = make('code')
  const panel = make('div', { id: 'snippet', class: 'snippet', role: 'tabpanel', tabindex: '0' }, make('pre', {}, code))
  const browser = make('code')
  const error = make('p', { class: 'notice bad', role: 'alert', hidden: true })
  const element = make('div', { class: 'signing' }, ofSite, ofDialect, signed, error,
    make('div', { class: 'snippet-head' }, tabs, copyButton('Copy', () => code.textContent)), panel,
    make('div', { class: 'snippet-head' }, make('h3', {}, 'In your page'), copyButton('Copy chat-identity.js', () => found.script)),
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
    signed.replaceChildren(found.site ? `As ${found.sites[found.site - 1]} has it: the` : 'The', ' signed message is ', make('code', {}, found.message), ', and the server returns ',
      ...found.fields.flatMap((name, i) => [i === 0 ? '' : i === found.fields.length - 1 ? ' and ' : ', ', make('code', {}, name)]), '.')
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

  async function load(query) {
    const asked = JSON.stringify(query)
    if (loaded === asked) return
    loaded = asked
    try {
      const answer = await snippets({ widget: id, ...query })
      if (loaded !== asked) return // another was chosen meanwhile
      found = answer
      error.hidden = true
      ofSite.hidden = found.sites.length < 2
      ofDialect.hidden = found.sites.length > 0
      refill(site, found.sites.map((where, i) => make('option', { value: String(i + 1) }, where)))
      draw()
    } catch (failure) {
      if (loaded !== asked) return
      loaded = ''
      error.textContent = failure.message
      error.hidden = false
    }
  }
  site.addEventListener('change', () => load({ site: site.value }))
  dialect.addEventListener('change', () => load({ dialect: dialect.value }))

  let own
  return {
    element,
    // show loads the code again if the widget’s dialect or its handlers have changed.
    show(widget) {
      const is = `${widget.dialect} ${widget.mode_why}`
      if (own === is && found) return undefined
      own = is
      loaded = ''
      return load({})
    },
  }
}
