// Shows a secret once. It is in the page while its dialog is open, and nowhere else.
import { copyButton, make } from './dom.js'
import { open } from './dialog.js'

export function showSecret(secret, { title, note, again, then }) {
  let copied = false
  let warned = false
  const value = make('code', { class: 'secret', tabindex: '0', 'aria-label': 'The secret' }, secret)
  value.addEventListener('focus', () => getSelection().selectAllChildren(value))
  const warning = make('p', { class: 'notice bad', role: 'alert', hidden: true }, 'You have not copied it. It will not be shown again: close again to continue without it.')
  const mayClose = () => {
    if (copied || warned || again) return true
    warned = true
    warning.hidden = false
    return false
  }
  const dialog = open(title, (close) => {
    const copy = copyButton('Copy the secret', () => secret, { class: 'primary', autofocus: true })
    const done = make('button', { type: 'button', on: { click: () => mayClose() && close() } }, 'Done')
    return [
      make('p', {}, note),
      make('div', { class: 'secret-line' }, value, copy),
      make('p', { class: again ? 'hint' : 'once' }, again ? 'It can be shown again, since allow_reveal is configured.' : 'It will not be shown again.'),
      make('p', { class: 'hint' }, 'Give it to your server as ', make('code', {}, 'CHAT_IDENTITY_SECRET'), ', and never put it into a page or a repository.'),
      warning,
      make('div', { class: 'actions' }, done),
    ]
  }, { beforeClose: mayClose, wide: true })
  // Copied by hand counts, too.
  dialog.addEventListener('copy', () => { copied = true })
  dialog.addEventListener('copied', () => { copied = true })
  dialog.addEventListener('close', () => then?.())
}
