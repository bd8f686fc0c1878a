const { createHmac } = require('node:crypto');

function userHash(id) {
  const secret = process.env.CHAT_IDENTITY_SECRET;
  if (!secret) throw new Error('CHAT_IDENTITY_SECRET is not set');
  if (id === undefined || id === null || id === '') throw new Error('the user id is empty');
  return createHmac('sha256', secret).update(String(id), 'utf8').digest('hex');
}

module.exports = { userHash };

if (require.main === module) {
  try {
    console.log(userHash(process.argv[2]));
  } catch (err) {
    console.error(`sign.js: ${err.message}`);
    process.exit(1);
  }
}
