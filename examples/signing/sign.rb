require 'json'
require 'openssl'

def user_hmac(id, message)
  secret = ENV['CHAT_IDENTITY_SECRET'].to_s
  raise ArgumentError, 'CHAT_IDENTITY_SECRET is not set' if secret.empty?
  raise ArgumentError, 'the user id is empty' if id.to_s.empty?

  OpenSSL::HMAC.digest('SHA256', secret, message.encode(Encoding::UTF_8))
end

def user_hash(id)
  user_hmac(id, id.to_s).unpack1('H*')
end

def user_token(id, claims = {})
  base64url = ->(bytes) { [bytes].pack('m0').tr('+/', '-_').delete('=') }
  now = Time.now.to_i
  payload = claims.merge(sub: id.to_s.encode(Encoding::UTF_8), iat: now, exp: now + 3600)
  message = [{ alg: 'HS256', typ: 'JWT' }, payload].map { |part| base64url.call(JSON.generate(part)) }.join('.')
  "#{message}.#{base64url.call(user_hmac(id, message))}"
end

if $PROGRAM_NAME == __FILE__
  begin
    token = ARGV[0] == '--token' && ARGV.shift
    # Arguments have the locale's encoding, which with LANG=C is not UTF-8, although
    # their bytes are.
    id = ARGV[0].to_s.dup.force_encoding(Encoding::UTF_8)
    puts token ? user_token(id) : user_hash(id)
  rescue ArgumentError => e
    abort "sign.rb: #{e.message}"
  end
end
