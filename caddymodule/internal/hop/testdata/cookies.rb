# Reads Cookie fields with Ruby's own parser. The protocol is cookies.py's.
require 'cgi'

$stdout.sync = true
$stdin.each_line do |line|
  value = begin
    CGI::Cookie.parse(line.unpack1('m')).fetch('v', []).first.to_s
  rescue ArgumentError
    ''
  end
  puts [value.b].pack('m0')
end
