<?php
// Router script for PHP's built-in server, whose form parsers read requests
// only. X-Parse says what to read, X-Places where. Answers are parse.py's.
function told($value): array {
    if ($value === null || $value === '' || $value === []) {
        return [];
    }
    if (is_string($value)) {
        return ['s' . base64_encode($value)];
    }
    return is_int($value) ? ['i' . $value] : ['x' . serialize($value)];
}

function at($document, array $paths): array {
    $found = [];
    foreach ($paths as $path) {
        $value = $document;
        foreach ($path as $name) {
            $value = is_array($value) && array_key_exists($name, $value) ? $value[$name] : null;
        }
        array_push($found, ...told($value));
    }
    return $found;
}

function named(array $fields, array $names): array {
    return at($fields, array_map(fn($name) => [$name], $names));
}

$places = json_decode(base64_decode($_SERVER['HTTP_X_PLACES']), true);
$raw = file_get_contents('php://input');
$answer = [];
switch ($_SERVER['HTTP_X_PARSE']) {
    case 'query':
        $answer['php $_GET'] = named($_GET, $places['names']);
        break;
    case 'raw':
        $document = json_decode($raw, true);
        $answer['php json_decode'] = json_last_error() === JSON_ERROR_NONE ? at($document, $places['paths']) : null;
        if ($places['kind'] === 'form') {
            parse_str($raw, $fields);
            $answer['php parse_str'] = named($fields, $places['names']);
        }
        break;
    case 'post':
        $answer['php $_POST'] = array_merge(named($_POST, $places['names']), named($_FILES, $places['names']));
}
header('Content-Type: application/json');
echo json_encode($answer);
