<?php

declare(strict_types=1);

function userHash(string|int $id): string
{
    $secret = getenv('CHAT_IDENTITY_SECRET');
    if ($secret === false || $secret === '') {
        throw new RuntimeException('CHAT_IDENTITY_SECRET is not set');
    }
    if ($id === '') {
        throw new InvalidArgumentException('the user id is empty');
    }
    return hash_hmac('sha256', (string) $id, $secret);
}

if (isset($argv[0]) && realpath($argv[0]) === __FILE__) {
    try {
        echo userHash($argv[1] ?? ''), "\n";
    } catch (Exception $e) {
        fwrite(STDERR, 'sign.php: ' . $e->getMessage() . "\n");
        exit(1);
    }
}
