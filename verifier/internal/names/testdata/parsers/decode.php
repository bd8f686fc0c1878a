<?php
// Has PHP's own decoders read texts: JSON lines in, JSON lines out.
error_reporting(0);

function strings($value) {
    $found = [];
    if (is_array($value)) {
        foreach ($value as $key => $inner) {
            $found = [...$found, (string) $key, ...strings($inner)];
        }
    } elseif (is_string($value)) {
        $found[] = $value;
    }
    return $found;
}

function json($text) {
    return strings(json_decode($text, true, 512, JSON_THROW_ON_ERROR));
}

function charset($name, $text) {
    $decoded = iconv($name, "UTF-8", $text);
    return $decoded === false ? [] : [$decoded];
}

$decoders = [
    "json_decode" => fn($text) => json($text),
    "json_decode twice" => fn($text) => array_merge(...array_map(fn($s) => strings(json_decode($s, true)), json($text))),
    "parse_str" => function ($text) { parse_str($text, $fields); return strings($fields); },
    "parse_str, then json_decode" => function ($text) {
        parse_str($text, $fields);
        return array_merge(...array_map(fn($s) => strings(json_decode($s, true)), strings($fields)));
    },
    "urldecode" => fn($text) => [urldecode($text)],
    "quoted_printable_decode" => fn($text) => [quoted_printable_decode($text)],
    "html_entity_decode" => fn($text) => [html_entity_decode($text)],
    "stripcslashes" => fn($text) => [stripcslashes($text)],
    "stripslashes" => fn($text) => [stripslashes($text)],
];
foreach (["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE", "WINDOWS-1251", "WINDOWS-1252"] as $name) {
    $decoders[$name] = fn($text) => charset($name, $text);
}
$headers = [
    "iconv_mime_decode" => fn($text) => [iconv_mime_decode($text, ICONV_MIME_DECODE_CONTINUE_ON_ERROR, "UTF-8")],
    "iconv_mime_decode_headers" => fn($text) => strings(iconv_mime_decode_headers($text, ICONV_MIME_DECODE_CONTINUE_ON_ERROR, "UTF-8")),
];

while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true);
    $text = base64_decode($asked["text"]);
    $answer = [];
    foreach ($asked["header"] ? $headers : $decoders as $name => $decode) {
        try {
            $answer[$name] = array_map("base64_encode", $decode($text));
        } catch (Throwable) {
        }
    }
    echo json_encode((object) $answer), "\n";
}
