// What the page shows is in the URL, behind the #, so that a reload and Back keep it
// and a link can be passed on: #/?sort=rate&filter=failing or #/widgets/shop.

// validID is what an id of a widget looks like.
export const validID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

// place returns where the page is: a widget’s id, or '' for the list, and the list’s
// parameters.
export function place() {
  const [path, query] = location.hash.slice(1).split('?')
  return { id: /^\/widgets\/(.+)$/.exec(path)?.[1] ?? '', query: new URLSearchParams(query) }
}

export const toWidget = (id) => `#/widgets/${encodeURIComponent(id)}`

// toList returns a link to the list, with some of the current parameters changed; an
// empty one is dropped.
export function toList(changes = {}) {
  const { query } = place()
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value)
    else query.delete(name)
  }
  return query.size ? `#/?${query}` : '#/'
}

// go shows another place. Typing replaces the current one, so that Back need not undo
// each letter.
export function go(to, { replace } = {}) {
  if (to === location.hash) return
  history[replace ? 'replaceState' : 'pushState'](null, '', to)
  dispatchEvent(new PopStateEvent('popstate'))
}
