# Reports what Ruby's parsers read in requests. README.md in this folder describes the
# protocol. With the argument "all" it also asks Rack and frameworks on top of it,
# behind Puma.
require 'base64'
require 'cgi'
require 'json'
require 'socket'
require 'stringio'
require 'uri'

WATCHED = JSON.parse(ENV.fetch('WATCHED')).map { |path| path[0].downcase }
CGI_LOCK = Mutex.new # CGI reads global variables

def told(value)
  case value
  when String then "s#{Base64.strict_encode64(value.b)}"
  when Integer then "i#{value}"
  else "x#{value.class}"
  end
end

def text(name) = name.to_s.dup.force_encoding('UTF-8').scrub

# The values below a path: [path, reported value].
def leaves(path, value)
  return [] if value.nil? || value == ''

  inner = value.is_a?(Array) ? value.each_with_index.map { |v, i| [i, v] } : value
  if path.size < 8 && (value.is_a?(Array) || value.is_a?(Hash)) && !value.empty?
    return inner.to_a.flat_map { |name, v| leaves(path + [text(name)], v) }
  end

  [[path, told(value)]]
end

def pairs(fields)
  fields.to_a.flat_map do |name, value|
    name = text(name)
    WATCHED.any? { |one| name.downcase.include?(one) } ? leaves([name], value) : []
  end
end

def document(value) = value.is_a?(Hash) ? pairs(value) : []

# Reads the path as a backend's route does.
def routed(path) = path =~ %r{\A/chat/c/([^/]+)} ? [[['conversation_id'], told(Regexp.last_match(1))]] : []

def utf8(text) = text.dup.force_encoding('UTF-8')

def repeated(read) = pairs(read.flat_map { |name, values| values.map { |v| [name, v] } })

Request = Struct.new(:method, :target, :headers, :body) do
  def query = target.split('?', 2)[1] || ''
  def type = headers['content-type'] || ''
  def cookie = headers['cookie'] || ''
  def form? = type.downcase.include?('urlencoded')
  def multipart? = type.downcase.include?('multipart')
end

def read_cgi(request)
  CGI_LOCK.synchronize do
    ENV.update('REQUEST_METHOD' => 'POST', 'CONTENT_TYPE' => request.type, 'CONTENT_LENGTH' => request.body.bytesize.to_s)
    $stdin = StringIO.new(request.body)
    read = CGI.new(accept_charset: 'UTF-8')
    repeated(read.params.to_h { |name, values| [name, values.map { |v| v.is_a?(String) && !read.files&.key?(name) ? v : :file }] })
  end
end

ALWAYS = ->(_) { true }
# Each parser: where it reads, whether it applies, and what it reads.
PARSERS = {
  'JSON.parse' => ['json', ALWAYS, ->(r) { document(JSON.parse(utf8(r.body))) }],
  'JSON.parse of bytes' => ['json', ALWAYS, ->(r) { document(JSON.parse(r.body)) }],
  'decode_www_form' => ['form', :form?.to_proc, ->(r) { pairs(URI.decode_www_form(utf8(r.body))) }],
  'CGI.parse' => ['form', :form?.to_proc, ->(r) { repeated(CGI.parse(utf8(r.body))) }],
  'CGI' => ['form', ->(r) { r.form? || r.multipart? }, method(:read_cgi)],
  'decode_www_form of the query' => ['query', ALWAYS, ->(r) { pairs(URI.decode_www_form(utf8(r.query))) }],
  'CGI.parse of the query' => ['query', ALWAYS, ->(r) { repeated(CGI.parse(utf8(r.query))) }],
  'File.expand_path' => ['path', ALWAYS, ->(r) { routed(File.expand_path(CGI.unescape(r.target.split('?', 2)[0]))) }],
  'CGI::Cookie' => ['cookie', ALWAYS, ->(r) { repeated(CGI::Cookie.parse(r.cookie)) }],
}.freeze

def answer(parsers, request)
  JSON.generate(parsers.filter_map do |name, (place, asked, parse)|
    next unless asked.call(request)

    begin
      ["ruby #{name}", { place: place, fields: parse.call(request) }]
    rescue StandardError, CGI::InvalidEncoding, SystemStackError => e
      ["ruby #{name}", { place: place, fields: nil, fault: text("#{e.class}: #{e.message}")[0, 200] }]
    end
  end.to_h)
end

def serve(client)
  while (line = client.gets)
    method, target = line.b.split
    headers = {}
    while (line = client.gets.b.chomp) != ''
      name, value = line.split(':', 2)
      headers[name.downcase] ||= value.strip
    end
    body = client.read(headers['content-length'].to_i) || ''.b
    said = answer(PARSERS, Request.new(method, target, headers, body))
    client.write("HTTP/1.1 200 OK\r\nContent-Length: #{said.bytesize}\r\n\r\n#{said}")
  end
rescue SystemCallError, IOError, NoMethodError
  # the client went away
ensure
  client.close
end

def serve_rack
  require 'rack'
  require 'puma'
  require 'puma/server'
  require 'action_dispatch'
  require 'oj'
  require 'yajl'

  file = ->(value) { value.is_a?(Hash) && (value.key?(:tempfile) || value.key?('tempfile')) ? :file : value }
  files = ->(fields) { pairs(fields.to_h { |name, value| [name, file.(value)] }) }
  json = ->(env) { env['CONTENT_TYPE'].to_s.downcase.include?('json') }
  rails = ->(env) { ActionDispatch::Request.new(env).tap { |r| r.set_header('action_dispatch.logger', Logger.new(IO::NULL)) } }
  parsers = {
    'Rack POST' => ['form', ->(env) { files.(Rack::Request.new(env).POST) }],
    'Rack GET' => ['query', ->(env) { pairs(Rack::Request.new(env).GET) }],
    'Rack params' => ['merged', ->(env) { files.(Rack::Request.new(env).params) }],
    'Rack cookies' => ['cookie', ->(env) { pairs(Rack::Request.new(env).cookies) }],
    'Rails form parameters' => ['form', ->(env) { json.(env) ? [] : files.(rails.(env).request_parameters.to_h) }],
    'Rails JSON parameters' => ['json', ->(env) { json.(env) ? document(rails.(env).request_parameters.to_h) : [] }],
    'Rails query parameters' => ['query', ->(env) { pairs(rails.(env).query_parameters.to_h) }],
    'Rails path' => ['path', ->(env) { routed(ActionDispatch::Journey::Router::Utils.normalize_path(Rack::Utils.unescape_path(env['PATH_INFO']))) }],
    'Oj' => ['json', ->(env) { document(Oj.load(env['rack.input'].read, mode: :compat)) }],
    'Oj strict' => ['json', ->(env) { document(Oj.strict_load(env['rack.input'].read)) }],
    'Yajl' => ['json', ->(env) { document(Yajl::Parser.parse(utf8(env['rack.input'].read), allow_comments: true)) }],
  }
  app = lambda do |env|
    body = env['rack.input'].read
    asked = parsers.transform_values do |place, parse|
      [place, ALWAYS, ->(_) { parse.call(env.reject { |key, _| key.start_with?('rack.request', 'action_dispatch') }.merge('rack.input' => StringIO.new(body))) }]
    end
    [200, { 'Content-Type' => 'application/json' }, [answer(asked, nil)]]
  end
  events = Puma::Events.respond_to?(:null) ? Puma::Events.null : nil # of Puma 5
  server = Puma::Server.new(app, events, min_threads: 1, max_threads: 8)
  port = server.add_tcp_listener('127.0.0.1', 0).addr[1]
  server.run
  puts "puma #{port}"
end

$stdout.sync = true
serve_rack if ARGV.include?('all')
server = TCPServer.new('127.0.0.1', 0)
puts "ruby #{server.addr[1]}"
loop { Thread.new(server.accept) { |client| serve(client) } }
