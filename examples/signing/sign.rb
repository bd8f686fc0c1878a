require 'openssl'

def user_hash(id)
  secret = ENV['CHAT_IDENTITY_SECRET'].to_s
  raise ArgumentError, 'CHAT_IDENTITY_SECRET is not set' if secret.empty?
  raise ArgumentError, 'the user id is empty' if id.to_s.empty?

  OpenSSL::HMAC.hexdigest('SHA256', secret, id.to_s.encode(Encoding::UTF_8))
end

if $PROGRAM_NAME == __FILE__
  begin
    # Arguments have the locale's encoding, which with LANG=C is not UTF-8, although
    # their bytes are.
    puts user_hash(ARGV[0].to_s.dup.force_encoding(Encoding::UTF_8))
  rescue ArgumentError => e
    abort "sign.rb: #{e.message}"
  end
end
