<?php

declare(strict_types=1);

/** The bytes of the secret's key. */
function key_bytes(array $dialect): string
{
    $secret = (string) getenv('CHAT_IDENTITY_SECRET');
    if ($secret === '') {
        throw new RuntimeException('CHAT_IDENTITY_SECRET is not set');
    }
    return match ($dialect['key_encoding'] ?? 'text') {
        'text' => $secret,
        'hex' => hex2bin($secret),
        default => base64_decode(strtr($secret, '-_', '+/')),
    };
}

function encode(string $bytes, string $encoding): string
{
    return match ($encoding) {
        'hex' => bin2hex($bytes),
        'base64' => base64_encode($bytes),
        default => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '='),
    };
}

/** Fills in the {fields} of a template's texts. A text that the user lacks a field for is left out. */
function fill(mixed $template, array $fields): mixed
{
    if (is_array($template)) {
        return array_filter(array_map(fn ($part) => fill($part, $fields), $template), fn ($part) => $part !== null);
    }
    if (!is_string($template)) {
        return $template;
    }
    $lacks = false;
    $text = preg_replace_callback('/{(\w+)}/', function (array $field) use ($fields, &$lacks): string {
        $value = (string) ($fields[$field[1]] ?? '');
        $lacks = $lacks || $value === '';
        return $value;
    }, $template);
    return $lacks ? null : $text;
}

// --- signature
/** What your page sends for a user of your own session: hashClaim(DIALECT, ['user_id' => $user->id]). */
function hashClaim(array $dialect, array $user): array
{
    $length = $dialect['nonce_length'] ?? 32;
    $now = microtime(true);
    $fields = [
        'nonce' => substr(bin2hex(random_bytes($length)), 0, $length),
        'timestamp' => (int) $now,
        'milliseconds' => (int) ($now * 1000),
    ] + $user;
    $message = fill($dialect['message'], $fields);
    if ($message === null) {
        throw new InvalidArgumentException("nobody is signed in: the user lacks a field of {$dialect['message']}");
    }
    $fields['signature'] = encode(hash_hmac('sha256', $message, key_bytes($dialect), true), $dialect['encoding']);
    return fill($dialect['claim'], $fields);
}

// --- token
/** What your page sends for a user of your own session: tokenClaim(DIALECT, ['user_id' => $user->id]). */
function tokenClaim(array $dialect, array $user): array
{
    if (fill('{user_id}', $user) === null) {
        throw new InvalidArgumentException('nobody is signed in: the user lacks a user_id');
    }
    $algorithm = $dialect['algorithm'];
    $payload = ['iat' => time(), 'exp' => time() + 3600] + fill($dialect['payload'], $user);
    $encoded = fn (array $part) => encode(json_encode($part, JSON_THROW_ON_ERROR), 'base64url');
    $message = $encoded(['alg' => $algorithm, 'typ' => 'JWT']) . '.' . $encoded($payload);
    $hash = 'sha' . substr($algorithm, 2);
    if (str_starts_with($algorithm, 'HS')) {
        $signature = hash_hmac($hash, $message, key_bytes($dialect), true);
    } else { // the secret is a private key in PEM
        @openssl_sign($message, $signature, key_bytes($dialect), $hash) || throw new InvalidArgumentException('CHAT_IDENTITY_SECRET is not a private key in PEM');
    }
    return fill($dialect['claim'], ['token' => $message . '.' . encode($signature, 'base64url')]);
}

// --- command line: php sign.php <dialect> <field>=<value>...
if (isset($argv[0]) && realpath($argv[0]) === __FILE__) {
    try {
        $dialects = json_decode((string) file_get_contents(__DIR__ . '/dialects.json'), true);
        $dialect = $dialects[$argv[1] ?? ''] ?? throw new InvalidArgumentException('the first argument is not a dialect in dialects.json');
        $user = [];
        foreach (array_slice($argv, 2) as $arg) {
            [$field, $value] = explode('=', $arg, 2) + [1 => null];
            $value ?? throw new InvalidArgumentException('write each field as <field>=<value>');
            $user[$field] = $value;
        }
        $claim = isset($dialect['payload']) ? tokenClaim($dialect, $user) : hashClaim($dialect, $user);
        echo json_encode($claim, JSON_THROW_ON_ERROR), "\n";
    } catch (Exception $e) {
        fwrite(STDERR, 'sign.php: ' . $e->getMessage() . "\n");
        exit(1);
    }
}
