<?php
declare(strict_types=1);

require __DIR__ . '/../store.php';

// Who chats is the pair of widget and user id, from the gateway alone: never from the body,
// and never from REMOTE_USER, which is Caddy's name for an operator.
function person(): ?array
{
    $user = $_SERVER['HTTP_X_VERIFIED_USER'] ?? '';
    return $user === '' ? null : [$_SERVER['HTTP_X_VERIFIED_WIDGET'], rawurldecode($user)];
}

function answer(int $status, array $body): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    exit(json_encode($body, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES));
}

if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) !== '/chat/messages') {
    answer(404, ['error' => 'there is only /chat/messages']);
}
$person = person();
$store = new Store(getenv('CHAT_DATABASE') ?: __DIR__ . '/../chat.sqlite');

if ($_SERVER['REQUEST_METHOD'] === 'GET') {
    $person ?? answer(401, ['error' => 'only verified users have a history']);
    answer(200, ['user' => $person, 'messages' => $store->of($person)]);
}

// A form, with a file or without one, is in $_POST and $_FILES; JSON is in neither.
$message = $_POST ?: json_decode(file_get_contents('php://input'), true);
$text = $message['text'] ?? null;
if (!is_string($text) || $text === '') {
    answer(400, ['error' => 'a message needs a text']);
}
$file = $_FILES['file'] ?? ['error' => UPLOAD_ERR_NO_FILE];
if (!in_array($file['error'], [UPLOAD_ERR_OK, UPLOAD_ERR_NO_FILE], true)) {
    answer(413, ['error' => 'the file is larger than upload_max_filesize, or did not arrive whole']);
}
$content = $file['error'] === UPLOAD_ERR_OK ? file_get_contents($file['tmp_name']) : null;
$store->add($person, $text, $content);
answer(201, ['user' => $person, 'text' => $text, 'bytes' => strlen($content ?? '')]);
