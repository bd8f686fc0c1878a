import { createServer } from 'node:http'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'

const { KEYS_URL, AUDIENCE, ISSUER = 'chat-identity', PORT } = process.env
const missing = Object.entries({ KEYS_URL, AUDIENCE, PORT }).find(([, value]) => !value)
if (missing) {
  console.error(`${missing[0]} is not set: README.md says what it is`)
  process.exit(1)
}
// Kept for 5 minutes. A key that is not in it is looked for every 10 seconds at most.
const keys = createRemoteJWKSet(new URL(KEYS_URL), { cacheMaxAge: 300_000, cooldownDuration: 10_000 })

// Returns the user, which is widget and id together, or null for anybody else.
async function user(assertion) {
  const { payload } = await jwtVerify(assertion ?? '', keys, {
    algorithms: ['ES256'], issuer: ISSUER, audience: AUDIENCE, requiredClaims: ['exp'], clockTolerance: 30
  })
  return payload.outcome === 'verified' ? [payload.widget, payload.sub] : null
}

// That the keys could not be read says nothing about the request.
const noKeys = (error) => !(error instanceof errors.JOSEError) || ['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID'].includes(error.code)

createServer(async (request, response) => {
  const answer = (status, body) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  try {
    answer(200, { user: await user(request.headers['x-verified-assertion']) })
  } catch (error) {
    console.error(`no user is read from the assertion: ${error.code ?? error.name}: ${error.message}`)
    if (noKeys(error)) answer(503, { error: 'the keys of the gateway cannot be read' })
    else answer(401, { error: 'this request has no valid assertion of the gateway' })
  }
}).listen(PORT, '127.0.0.1')
