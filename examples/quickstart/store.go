package main

import (
	"errors"
	"maps"
	"sync"
	"time"
)

// A demo's memory is bounded: beyond these limits, the least recently used entry is
// dropped.
const (
	maxConversations = 1000
	maxContacts      = 1000
	maxVisitors      = 2000
	maxMessages      = 200
	maxAttributes    = 64 // of one contact; the gateway allows as many in one request
)

var errNotYours = errors.New("this conversation belongs to someone else")

// owner may read and continue a conversation: a verified person, or the visitor who
// began it, in the same browser.
type owner struct {
	person
	visitor, browser string
}

type message struct {
	From     string    `json:"from"` // visitor or agent
	Text     string    `json:"text"`
	Verified bool      `json:"verified"`
	Merged   bool      `json:"merged,omitempty"` // written before the sign-in
	At       time.Time `json:"at"`
}

type conversation struct {
	owner    owner
	messages []message
	used     time.Time
}

// contact is what is known about a verified person, updated by every verified
// request.
type contact struct {
	ID         string         `json:"id"`
	Widget     string         `json:"widget"`
	Email      string         `json:"email,omitempty"`
	Name       string         `json:"name,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
	Messages   int            `json:"messages"`
	Calls      int            `json:"calls,omitempty"`
	used       time.Time
}

type store struct {
	now func() time.Time

	mu            sync.Mutex
	conversations map[string]*conversation
	contacts      map[person]*contact
	visitors      map[string]*visitor
}

func newStore(now func() time.Time) *store {
	return &store{
		now:           now,
		conversations: map[string]*conversation{},
		contacts:      map[person]*contact{},
		visitors:      map[string]*visitor{},
	}
}

// owner returns who a request may act as. A verified person's visitor id does not
// count.
func (f sender) owner() owner {
	if f.verified() {
		return owner{person: f.person()}
	}
	return owner{visitor: f.visitor, browser: f.browser}
}

// upsert updates a verified person's contact with what they sent, and counts it.
func (s *store) upsert(id identity, messages, calls int) contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contacts[id.person()]
	if c == nil {
		makeRoom(s.contacts, maxContacts, func(c *contact) time.Time { return c.used })
		c = &contact{ID: id.User, Widget: id.Widget}
		s.contacts[id.person()] = c
	}
	if id.Email != "" {
		c.Email = id.Email
	}
	if id.Name != "" {
		c.Name = id.Name
	}
	// A returned contact may currently be encoded, so its map must not change.
	attributes := maps.Clone(c.Attributes)
	if attributes == nil {
		attributes = map[string]any{}
	}
	maps.Copy(attributes, id.Attributes)
	if len(attributes) > maxAttributes {
		attributes = id.Attributes
	}
	c.Attributes = attributes
	c.Messages += messages
	c.Calls += calls
	c.used = s.now()
	return *c
}

// open checks that a request may write to a conversation, before it has any effect.
func (s *store) open(conversationID string, from sender) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find(conversationID, from)
	return err
}

// add appends to a conversation, beginning it if it is new.
func (s *store) add(conversationID string, from sender, messages ...message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(conversationID, from)
	if err != nil {
		return err
	}
	if !from.verified() {
		s.visit(from.visitor, from.browser)
	}
	if c == nil {
		makeRoom(s.conversations, maxConversations, func(c *conversation) time.Time { return c.used })
		c = &conversation{owner: from.owner()}
		s.conversations[conversationID] = c
	}
	c.messages = append(c.messages, messages...)
	if n := len(c.messages); n > maxMessages {
		c.messages = append([]message(nil), c.messages[n-maxMessages:]...)
	}
	c.used = s.now()
	return nil
}

// history returns a conversation's messages. A verified person who names a new
// conversation gets their latest one, which is how they find it on another device.
func (s *store) history(conversationID string, from sender) (string, []message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(conversationID, from)
	if err != nil {
		return "", nil, err
	}
	if c == nil && from.verified() {
		mine := from.owner()
		for other, candidate := range s.conversations {
			if candidate.owner == mine && (c == nil || candidate.used.After(c.used)) {
				conversationID, c = other, candidate
			}
		}
	}
	if c == nil {
		return conversationID, []message{}, nil
	}
	return conversationID, append([]message{}, c.messages...), nil
}

// find returns the conversation if the request may access it, or nil if there is
// none. A visitor's conversation is also open to the person with whom the visitor will
// be merged, who may read before writing.
func (s *store) find(conversationID string, from sender) (*conversation, error) {
	if !from.verified() && !s.isOwn(from.visitor, from) {
		return nil, errNotYours
	}
	c := s.conversations[conversationID]
	if c == nil || c.owner == from.owner() {
		return c, nil
	}
	if from.MergeFrom != "" && c.owner == from.before() && s.isOwn(from.MergeFrom, from) {
		return c, nil
	}
	return nil, errNotYours
}

// makeRoom drops the least recently used entry of a full map.
func makeRoom[K comparable, V any](m map[K]V, limit int, used func(V) time.Time) {
	if len(m) < limit {
		return
	}
	var oldest K
	var since time.Time
	for k, v := range m {
		if t := used(v); since.IsZero() || t.Before(since) {
			oldest, since = k, t
		}
	}
	delete(m, oldest)
}
