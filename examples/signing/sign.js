const crypto = require('node:crypto')

// The bytes of the secret's key.
function key(dialect) {
  const secret = process.env.CHAT_IDENTITY_SECRET
  if (!secret) throw new Error('CHAT_IDENTITY_SECRET is not set')
  return Buffer.from(secret, dialect.key_encoding ?? 'utf8')
}

// Fills in the {fields} of a template's texts. A text that the user lacks a field for is left out.
function fill(template, fields) {
  return JSON.parse(JSON.stringify(template), (_, part) => {
    if (typeof part !== 'string') return part
    const lacks = [...part.matchAll(/{(\w+)}/g)].some(([, field]) => String(fields[field] ?? '') === '')
    return lacks ? undefined : part.replace(/{(\w+)}/g, (_, field) => fields[field])
  })
}

// --- signature
// What your page sends for a user of your own session: hashClaim(dialect, { user_id: user.id }).
function hashClaim(dialect, user) {
  const { message, encoding, nonce_length: length = 32 } = dialect
  const nonce = crypto.randomBytes(length).toString('hex').slice(0, length)
  const milliseconds = Date.now()
  const fields = { ...user, nonce, milliseconds, timestamp: Math.floor(milliseconds / 1000) }
  const signed = fill(message, fields)
  if (!signed) throw new Error(`nobody is signed in: the user lacks a field of ${message}`)
  fields.signature = crypto.createHmac('sha256', key(dialect)).update(signed).digest(encoding)
  return fill(dialect.claim, fields)
}

// --- token
// What your page sends for a user of your own session: tokenClaim(dialect, { user_id: user.id }).
function tokenClaim(dialect, user) {
  if (!fill('{user_id}', user)) throw new Error('nobody is signed in: the user lacks a user_id')
  const { algorithm } = dialect
  const now = Math.floor(Date.now() / 1000)
  const payload = { ...fill(dialect.payload, user), iat: now, exp: now + 3600 }
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const message = encode({ alg: algorithm, typ: 'JWT' }) + '.' + encode(payload)
  const hash = 'sha' + algorithm.slice(2)
  let signature
  if (algorithm.startsWith('HS')) {
    signature = crypto.createHmac(hash, key(dialect)).update(message).digest()
  } else { // the secret is a private key in PEM
    if (!key(dialect).includes('PRIVATE KEY-----')) throw new Error('CHAT_IDENTITY_SECRET is not a private key in PEM')
    const pss = algorithm.startsWith('PS') && { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST }
    signature = crypto.sign(algorithm === 'EdDSA' ? null : hash, Buffer.from(message), { key: key(dialect), dsaEncoding: 'ieee-p1363', ...pss })
  }
  return fill(dialect.claim, { token: message + '.' + signature.toString('base64url') })
}

// --- command line: node sign.js <dialect> <field>=<value>...
if (require.main === module) {
  try {
    const [name, ...args] = process.argv.slice(2)
    const dialect = require('./dialects.json')[name]
    if (!dialect) throw new Error('the first argument is not a dialect in dialects.json')
    if (args.some((arg) => !arg.includes('='))) throw new Error('write each field as <field>=<value>')
    const user = Object.fromEntries(args.map((arg) => arg.split(/=(.*)/s)))
    console.log(JSON.stringify((dialect.payload ? tokenClaim : hashClaim)(dialect, user)))
  } catch (err) {
    console.error(`sign.js: ${err.message}`)
    process.exit(1)
  }
}

module.exports = { hashClaim, tokenClaim }
