<?php
[$keysURL, $audience] = array_map(fn ($name) => getenv($name) ?: missing($name), ['KEYS_URL', 'AUDIENCE']);
$issuer = getenv('ISSUER') ?: 'chat-identity';

// PHP runs this for each request, so each says it.
function missing(string $name): never
{
    error_log("$name is not set: README.md says what it is");
    http_response_code(500);
    exit;
}

// The keys in PEM, by id. APCu keeps them for 5 minutes. One that is not there is looked for every 10 seconds at most.
function publicKey(string $id): string
{
    [$keys, $read] = apcu_fetch('chat-identity-keys') ?: [[], 0];
    if (time() - $read > (isset($keys[$id]) ? 300 : 10)) {
        $set = @file_get_contents($GLOBALS['keysURL'], false, stream_context_create(['http' => ['timeout' => 5]]));
        $set = json_decode($set ?: throw new RuntimeException(error_get_last()['message'] ?? 'it is empty'), true, 16, JSON_THROW_ON_ERROR);
        $keys = array_map(fn ($key) => pem(decode($key['x']) . decode($key['y'])), array_column($set['keys'], null, 'kid'));
        apcu_store('chat-identity-keys', [$keys, time()]);
    }
    return $keys[$id] ?? throw new DomainException('no key of the set has that kid');
}

// A point of P-256 as a public key.
function pem(string $point): string
{
    $der = hex2bin('3059301306072a8648ce3d020106082a8648ce3d03010703420004') . $point;
    return "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($der), 64) . "-----END PUBLIC KEY-----\n";
}

// The two numbers of a signature as OpenSSL takes them: each without leading zeros, but positive.
function der(string $signature): string
{
    $numbers = array_map(fn ($n) => ltrim($n, "\0"), str_split($signature, 32));
    $numbers = array_map(fn ($n) => $n === '' || ord($n[0]) > 127 ? "\0$n" : $n, $numbers);
    $numbers = implode(array_map(fn ($n) => "\x02" . chr(strlen($n)) . $n, $numbers));
    return "\x30" . chr(strlen($numbers)) . $numbers;
}

function decode(string $text): string
{
    return base64_decode(strtr($text, '-_', '+/'), true) ?: throw new DomainException('it is not base64url');
}

// Returns the user, which is widget and id together, or null for anybody else.
function user(string $assertion): ?array
{
    $parts = explode('.', $assertion);
    [$header, $claims, $signature] = count($parts) === 3 ? array_map('decode', $parts) : throw new DomainException('it does not have three parts');
    $header = json_decode($header, true);
    if (($header['alg'] ?? '') !== 'ES256' || !is_string($header['kid'] ?? null) || strlen($signature) !== 64
        || openssl_verify("$parts[0].$parts[1]", der($signature), publicKey($header['kid']), OPENSSL_ALGO_SHA256) !== 1) {
        throw new DomainException('the signature does not match, or is not ES256 with a kid');
    }
    $claims = json_decode($claims, true);
    $wrong = $claims['iss'] !== $GLOBALS['issuer'] ? 'iss' : ($claims['aud'] !== $GLOBALS['audience'] ? 'aud' : '');
    if ($wrong || $claims['exp'] < time() - 30) {
        throw new DomainException($wrong ? "$wrong is not the one that is expected" : 'exp has passed');
    }
    return $claims['outcome'] === 'verified' ? [$claims['widget'], $claims['sub']] : null;
}

try {
    [$status, $body] = [200, ['user' => user($_SERVER['HTTP_X_VERIFIED_ASSERTION'] ?? '')]];
} catch (DomainException $e) {
    error_log("no user is read from the assertion: {$e->getMessage()}");
    [$status, $body] = [401, ['error' => 'this request has no valid assertion of the gateway']];
} catch (Throwable $e) {
    error_log("the keys cannot be read: {$e->getMessage()}");
    [$status, $body] = [503, ['error' => 'the keys of the gateway cannot be read']];
}
http_response_code($status);
header('Content-Type: application/json');
echo json_encode($body);
