<?php
// Router script for PHP's built-in server. README.md in this folder describes the
// protocol. If the server does not read bodies itself (enable_post_data_reading=0),
// this script does.
$watched = array_map(fn($path) => strtolower($path[0]), json_decode(getenv('WATCHED'), true));

// The values below a path: [path, reported value].
function leaves(array $path, $value): array {
    if ($value === null || $value === '') {
        return [];
    }
    if (is_array($value) && $value !== [] && count($path) < 8) {
        $found = [];
        foreach ($value as $name => $inner) {
            array_push($found, ...leaves([...$path, (string)$name], $inner));
        }
        return $found;
    }
    if (is_string($value)) {
        return [[$path, 's' . base64_encode($value)]];
    }
    return [[$path, is_int($value) ? 'i' . $value : 'x' . substr(serialize($value), 0, 200)]];
}

function fields($document): ?array {
    global $watched;
    $found = [];
    foreach (is_array($document) && !array_is_list($document) ? $document : [] as $name => $value) {
        foreach ($watched as $one) {
            if (stripos((string)$name, $one) !== false) {
                array_push($found, ...leaves([(string)$name], $value));
                break;
            }
        }
    }
    return $found;
}

function json(string $text): ?array {
    $document = json_decode($text, true);
    return json_last_error() === JSON_ERROR_NONE ? fields($document) : null;
}

// Reads the path as a backend's route does.
function routed(string $path): array {
    return preg_match('#^/chat/c/([^/]+)#', $path, $found) ? leaves(['conversation_id'], $found[1]) : [];
}

$raw = file_get_contents('php://input');
$files = array_map(fn($file) => new stdClass(), $_FILES);
$answer = ['php json_decode' => ['place' => 'json', 'fields' => json($raw)]];
if (ini_get('enable_post_data_reading')) {
    $answer += [
        'php $_POST' => ['place' => 'form', 'fields' => array_merge(fields($_POST), fields($files))],
        'php $_GET' => ['place' => 'query', 'fields' => fields($_GET)],
        'php $_REQUEST' => ['place' => 'merged', 'fields' => fields($_REQUEST)],
        'php SCRIPT_NAME' => ['place' => 'path', 'fields' => routed($_SERVER['SCRIPT_NAME'] . ($_SERVER['PATH_INFO'] ?? ''))],
        'php $_COOKIE' => ['place' => 'cookie', 'fields' => fields($_COOKIE)],
    ];
    if (stripos($_SERVER['CONTENT_TYPE'] ?? '', 'urlencoded') !== false) {
        parse_str($raw, $parsed);
        $answer['php parse_str'] = ['place' => 'form', 'fields' => fields($parsed)];
    }
}
header('Content-Type: application/json');
echo json_encode($answer, JSON_INVALID_UTF8_SUBSTITUTE);
