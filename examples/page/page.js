// The website's part. Commands wait in a queue until chat-identity.js has loaded.
window.chatIdentity ??= function () { (chatIdentity.q ??= []).push(arguments) }

const identify = () => chatIdentity('identify', { claim: '/me/chat', session: '/chat/identify' })
identify()

async function sign(path) {
  await fetch(path, { method: 'POST' })
  path === '/sign-out' ? chatIdentity('reset') : identify()
}

// The chat's part. The event says that the gateway knows another user, or nobody any more:
// what was shown is not theirs.
let source
addEventListener('chat-identity', ({ detail: user }) => {
  document.getElementById('who').textContent = user ?? 'nobody'
  document.getElementById('log').replaceChildren()
  source?.close()
  if (user !== null) listen(user)
})

function show(text) {
  const line = document.createElement('li')
  line.textContent = text
  document.getElementById('log').append(line)
}

// An event stream asks for its URL each time that it is opened: the browser's own attempts
// would use the old one, whose session may be over.
async function listen(user) {
  try {
    source = new EventSource(await chatIdentity.url('/chat/events'))
  } catch (error) {
    return show(error.message)
  }
  source.onmessage = ({ data }) => show(data)
  source.onerror = ({ target }) => {
    target.close()
    setTimeout(() => target === source && listen(user), 1000)
  }
}

addEventListener('DOMContentLoaded', () => {
  document.getElementById('ada').onclick = () => sign('/sign-in/ada')
  document.getElementById('grace').onclick = () => sign('/sign-in/grace')
  document.getElementById('out').onclick = () => sign('/sign-out')
  document.getElementById('composer').onsubmit = async (event) => {
    event.preventDefault()
    const form = event.target
    try {
      const answer = await chatIdentity.fetch('/chat/messages', { method: 'POST', body: new FormData(form) })
      if (!answer.ok) throw new Error(`Not delivered: ${answer.status}`)
      form.reset()
    } catch (error) {
      show(error.message)
    }
  }
})
