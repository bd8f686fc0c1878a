// Elements are created here, and text is only ever text: nothing on this page is
// parsed as HTML.

// make returns an element. Properties are attributes, but for on, an object of
// listeners, and those that an element only has as properties.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener)
    } else if (name === 'value' || name === 'checked' || name === 'disabled' || name === 'hidden' || name === 'open') {
      element[name] = value
    } else if (value !== undefined && value !== null && value !== false) {
      element.setAttribute(name, value === true ? '' : value)
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false))
  return element
}

// svg returns a part of a drawing.
export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

// write sets an element's text, unless it is the same already.
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text
}

// refill replaces those children of a container that have changed, so that no click is
// lost on a button that has not, unless the user has selected part of it. Elements with
// a data-key stay open, closed or focused.
export function refill(container, ...children) {
  const next = children.flat(2).filter(Boolean)
  const now = [...container.childNodes]
  const kept = next.map((node, i) => (now[i] && node.isEqualNode(now[i]) ? now[i] : node))
  if (now.length === next.length && kept.every((node, i) => node === now[i])) return
  const selection = getSelection()
  if (selection && !selection.isCollapsed && container.contains(selection.anchorNode)) return
  const key = container.contains(document.activeElement) ? document.activeElement.dataset.key : undefined
  const open = new Map([...container.querySelectorAll('details')].map((details) => [details.dataset.key, details.open]))
  for (const node of now) if (!kept.includes(node)) node.remove()
  for (const [i, node] of kept.entries()) if (container.childNodes[i] !== node) container.insertBefore(node, container.childNodes[i] ?? null)
  for (const details of container.querySelectorAll('details')) details.open = open.get(details.dataset.key) ?? details.open
  if (key) [...container.querySelectorAll('[data-key]')].find((element) => element.dataset.key === key)?.focus({ preventScroll: true })
}

// announce has screen readers read a text.
export function announce(text) {
  const announcer = document.getElementById('announcer')
  announcer.textContent = ''
  requestAnimationFrame(() => { announcer.textContent = text })
}

// copyButton copies a text and shows whether that worked.
export function copyButton(label, text, properties = {}) {
  const button = make('button', { type: 'button', ...properties }, label)
  button.addEventListener('click', async () => {
    let said = 'Copied'
    try {
      await navigator.clipboard.writeText(text())
      button.dispatchEvent(new CustomEvent('copied', { bubbles: true }))
    } catch {
      said = 'Select it, then copy'
    }
    button.textContent = said
    announce(said)
    setTimeout(() => { button.textContent = label }, 2000)
  })
  return button
}
