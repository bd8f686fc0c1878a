<?php

declare(strict_types=1);

function userHmac(string $id, string $message): string
{
    $secret = getenv('CHAT_IDENTITY_SECRET');
    if ($secret === false || $secret === '') {
        throw new RuntimeException('CHAT_IDENTITY_SECRET is not set');
    }
    if ($id === '') {
        throw new InvalidArgumentException('the user id is empty');
    }
    return hash_hmac('sha256', $message, $secret, true);
}

function userHash(string|int $id): string
{
    return bin2hex(userHmac((string) $id, (string) $id));
}

function userToken(string|int $id, array $claims = []): string
{
    $base64url = fn (string $bytes) => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    $payload = ['sub' => (string) $id, 'iat' => time(), 'exp' => time() + 3600] + $claims;
    $message = $base64url('{"alg":"HS256","typ":"JWT"}') . '.' . $base64url(json_encode($payload, JSON_THROW_ON_ERROR));
    return $message . '.' . $base64url(userHmac((string) $id, $message));
}

if (isset($argv[0]) && realpath($argv[0]) === __FILE__) {
    try {
        $token = ($argv[1] ?? '') === '--token';
        echo $token ? userToken($argv[2] ?? '') : userHash($argv[1] ?? ''), "\n";
    } catch (Exception $e) {
        fwrite(STDERR, 'sign.php: ' . $e->getMessage() . "\n");
        exit(1);
    }
}
