require 'json'
require 'openssl'
require 'securerandom'

# The bytes of the secret's key.
def key(dialect)
  secret = ENV['CHAT_IDENTITY_SECRET'].to_s
  raise ArgumentError, 'CHAT_IDENTITY_SECRET is not set' if secret.empty?

  case dialect['key_encoding']
  when nil then secret
  when 'hex' then [secret].pack('H*')
  else secret.tr('-_', '+/').unpack1('m')
  end
end

def encode(bytes, encoding)
  return bytes.unpack1('H*') if encoding == 'hex'

  text = [bytes].pack('m0')
  encoding == 'base64' ? text : text.tr('+/', '-_').delete('=')
end

# Fills in the {fields} of a template's texts. A text that the user lacks a field for is left out.
def fill(template, fields)
  return template.transform_values { |part| fill(part, fields) }.compact if template.is_a?(Hash)
  return template unless template.is_a?(String)

  template.gsub(/\{(\w+)\}/) do
    value = fields[Regexp.last_match(1).to_sym].to_s.encode(Encoding::UTF_8)
    return nil if value.empty?

    value
  end
end

# --- signature
# What your page sends for a user of your own session: hash_claim(DIALECT, user_id: user.id).
def hash_claim(dialect, **user)
  length = dialect.fetch('nonce_length', 32)
  now = Time.now
  fields = user.merge(nonce: SecureRandom.hex(length)[0, length], timestamp: now.to_i, milliseconds: (now.to_f * 1000).to_i)
  message = fill(dialect['message'], fields)
  raise ArgumentError, "nobody is signed in: the user lacks a field of #{dialect['message']}" unless message

  fields[:signature] = encode(OpenSSL::HMAC.digest('SHA256', key(dialect), message), dialect['encoding'])
  fill(dialect['claim'], fields)
end

# --- token
# What your page sends for a user of your own session: token_claim(DIALECT, user_id: user.id).
def token_claim(dialect, **user)
  raise ArgumentError, 'nobody is signed in: the user lacks a user_id' unless fill('{user_id}', user)

  algorithm = dialect['algorithm']
  now = Time.now.to_i
  payload = fill(dialect['payload'], user).merge('iat' => now, 'exp' => now + 3600)
  message = [{ 'alg' => algorithm, 'typ' => 'JWT' }, payload].map { |part| encode(JSON.generate(part), 'base64url') }.join('.')
  hash = "SHA#{algorithm[2..]}"
  signature = if algorithm.start_with?('HS')
                OpenSSL::HMAC.digest(hash, key(dialect), message)
              else # the secret is a private key in PEM
                raise ArgumentError, 'CHAT_IDENTITY_SECRET is not a private key in PEM' unless key(dialect).include?('PRIVATE KEY-----')

                OpenSSL::PKey.read(key(dialect)).sign(hash, message)
              end
  fill(dialect['claim'], { token: "#{message}.#{encode(signature, 'base64url')}" })
end

# --- command line: ruby sign.rb <dialect> <field>=<value>...
if $PROGRAM_NAME == __FILE__
  begin
    # Arguments have the locale's encoding, which with LANG=C is not UTF-8, although
    # their bytes are.
    name, *args = ARGV.map { |arg| arg.dup.force_encoding(Encoding::UTF_8) }
    dialect = JSON.parse(File.read("#{__dir__}/dialects.json", encoding: Encoding::UTF_8))[name]
    raise ArgumentError, 'the first argument is not a dialect in dialects.json' unless dialect
    raise ArgumentError, 'write each field as <field>=<value>' unless args.all? { |arg| arg.include?('=') }

    user = args.to_h { |arg| arg.split('=', 2) }.transform_keys(&:to_sym)
    puts JSON.generate(dialect.key?('payload') ? token_claim(dialect, **user) : hash_claim(dialect, **user))
  rescue ArgumentError => e
    abort "sign.rb: #{e.message}"
  end
end
