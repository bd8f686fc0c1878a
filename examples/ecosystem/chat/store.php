<?php
declare(strict_types=1);

// Messages by widget and user, in SQLite. A visitor's messages belong to nobody.
class Store
{
    private PDO $db;

    public function __construct(string $file)
    {
        $this->db = new PDO('sqlite:' . $file);
        $this->db->exec('PRAGMA busy_timeout = 5000');
        $this->db->exec('CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, widget TEXT, user TEXT, text TEXT NOT NULL, file BLOB)');
    }

    public function add(?array $person, string $text, ?string $file): void
    {
        [$widget, $user] = $person ?? [null, null];
        $this->db->prepare('INSERT INTO messages (widget, user, text, file) VALUES (?, ?, ?, ?)')->execute([$widget, $user, $text, $file]);
    }

    public function of(array $person): array
    {
        $rows = $this->db->prepare('SELECT text FROM messages WHERE widget = ? AND user = ? ORDER BY id');
        $rows->execute($person);
        return $rows->fetchAll(PDO::FETCH_COLUMN);
    }
}
