// Which page is shown: the list of widgets, or one of them.
import { make } from './dom.js'
import { home } from './home.js'
import { show } from './refresh.js'
import { widget } from './widget.js'

const main = document.getElementById('main')

function route() {
  const match = /^#\/widgets\/([A-Za-z0-9][A-Za-z0-9._-]{0,127})$/.exec(location.hash)
  const view = match ? widget(match[1]) : home()
  document.title = match ? `${match[1]} – Chat identity` : 'Chat identity'
  main.replaceChildren(view.element)
  scrollTo(0, 0)
  show(async (isCurrent) => {
    try {
      await view.update(isCurrent)
    } catch (error) {
      if (isCurrent()) view.failed(error)
      throw error
    }
  })
}

document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault() // the place in the URL says what is shown
  main.focus()
})

addEventListener('hashchange', () => {
  for (const dialog of document.querySelectorAll('dialog')) dialog.remove()
  route()
  main.querySelector('h1')?.focus({ preventScroll: true })
})

addEventListener('error', () => main.prepend(make('p', { class: 'notice bad', role: 'alert' }, 'This page has a fault. Reload it.')))

route()
