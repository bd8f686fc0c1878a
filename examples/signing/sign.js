const { createHmac } = require('node:crypto');

function hmac(id, message) {
  const secret = process.env.CHAT_IDENTITY_SECRET;
  if (!secret) throw new Error('CHAT_IDENTITY_SECRET is not set');
  if (id === undefined || id === null || id === '') throw new Error('the user id is empty');
  return createHmac('sha256', secret).update(message, 'utf8');
}

function userHash(id) {
  return hmac(id, String(id)).digest('hex');
}

function userToken(id, claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  const payload = { ...claims, sub: String(id), iat: now, exp: now + 3600 };
  const message = [{ alg: 'HS256', typ: 'JWT' }, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return message + '.' + hmac(id, message).digest('base64url');
}

module.exports = { userHash, userToken };

if (require.main === module) {
  try {
    const [first, second] = process.argv.slice(2);
    console.log(first === '--token' ? userToken(second) : userHash(first));
  } catch (err) {
    console.error(`sign.js: ${err.message}`);
    process.exit(1);
  }
}
