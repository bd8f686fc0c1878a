// Which page is shown: the list of widgets, or one of them.
import { make } from './dom.js'
import { home } from './home.js'
import { place } from './place.js'
import { show } from './refresh.js'
import { widget } from './widget.js'

const main = document.getElementById('main')
let shown = null // what is shown: a widget’s id, or '' for the list
let view

function route() {
  const { id, query } = place()
  const other = id !== shown
  if (other) {
    for (const dialog of document.querySelectorAll('dialog')) dialog.remove()
    shown = id
    view = id ? widget(id) : home()
    main.replaceChildren(view.element)
    document.title = id ? `${id} – Chat identity` : 'Chat identity'
  }
  view.turn?.(query)
  show((isCurrent) => view.update(isCurrent))
  return other
}

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault() // the place in the URL says what is shown
  main.focus()
})

// Links and Back come here, and so does what place.go shows.
addEventListener('popstate', () => {
  if (!route()) return
  scrollTo(0, 0)
  main.querySelector('h1')?.focus({ preventScroll: true })
})

addEventListener('error', () => main.prepend(make('p', { class: 'notice bad', role: 'alert' }, 'This page has a fault. Reload it.')))

route()
