package main

import (
	"errors"
	"maps"
	"sync"
	"time"
)

// A demo's memory is bounded: beyond these, what was used longest ago goes.
const (
	maxConversations = 1000
	maxContacts      = 1000
	maxMessages      = 200
	maxAttributes    = 64 // of one contact; the gateway lets no more through at once
)

var errNotYours = errors.New("this conversation belongs to someone else")

// owner is who may read and continue a conversation: a verified person, or
// whoever holds the random visitor id under which it was begun.
type owner struct {
	person
	visitor string
}

type message struct {
	From     string    `json:"from"` // visitor or agent
	Text     string    `json:"text"`
	Verified bool      `json:"verified"`
	At       time.Time `json:"at"`
}

type conversation struct {
	owner    owner
	messages []message
	used     time.Time
}

// contact is what is known of a verified person, brought up to date by every
// verified message.
type contact struct {
	ID         string         `json:"id"`
	Widget     string         `json:"widget"`
	Email      string         `json:"email,omitempty"`
	Name       string         `json:"name,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
	Messages   int            `json:"messages"`
	used       time.Time
}

type store struct {
	now func() time.Time

	mu            sync.Mutex
	conversations map[string]*conversation
	contacts      map[person]*contact
}

func newStore(now func() time.Time) *store {
	return &store{
		now:           now,
		conversations: map[string]*conversation{},
		contacts:      map[person]*contact{},
	}
}

// ownerOf returns who a request may act as. A verified person's visitor id is
// not part of who they are.
func ownerOf(id identity, visitor string) owner {
	if id.verified() {
		return owner{person: id.person()}
	}
	return owner{visitor: visitor}
}

// upsert brings a verified person's contact up to date. What was not sent stays
// as it was.
func (s *store) upsert(id identity) contact {
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
	// A contact that was handed out is being encoded by its request: its map
	// must not change.
	attributes := maps.Clone(c.Attributes)
	if attributes == nil {
		attributes = map[string]any{}
	}
	maps.Copy(attributes, id.Attributes)
	if len(attributes) > maxAttributes {
		attributes = id.Attributes
	}
	c.Attributes = attributes
	c.Messages++
	c.used = s.now()
	return *c
}

// open checks that a request may write to a conversation, before anything else
// is done for it.
func (s *store) open(conversationID string, id identity, visitor string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.find(conversationID, id, visitor)
	return err
}

// add appends to a conversation, beginning it if it is new.
func (s *store) add(conversationID string, id identity, visitor string, messages ...message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(conversationID, id, visitor)
	if err != nil {
		return err
	}
	if c == nil {
		makeRoom(s.conversations, maxConversations, func(c *conversation) time.Time { return c.used })
		c = &conversation{owner: ownerOf(id, visitor)}
		s.conversations[conversationID] = c
	}
	c.messages = append(c.messages, messages...)
	if n := len(c.messages); n > maxMessages {
		c.messages = append([]message(nil), c.messages[n-maxMessages:]...)
	}
	c.used = s.now()
	return nil
}

// history returns a conversation's messages. A verified person who names a
// conversation that nobody has begun gets their latest one: that is how they
// find it again on another device.
func (s *store) history(conversationID string, id identity, visitor string) (string, []message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.find(conversationID, id, visitor)
	if err != nil {
		return "", nil, err
	}
	if c == nil && id.verified() {
		mine := ownerOf(id, visitor)
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

// find returns the conversation if the request may have it, and nil if there is
// none. A verified person who also holds the visitor id of an anonymous
// conversation takes it over: that is someone who has just signed in.
func (s *store) find(conversationID string, id identity, visitor string) (*conversation, error) {
	c := s.conversations[conversationID]
	if c == nil {
		return nil, nil
	}
	me := ownerOf(id, visitor)
	if c.owner == me {
		return c, nil
	}
	if id.verified() && c.owner.visitor != "" && c.owner.visitor == visitor {
		c.owner = me
		return c, nil
	}
	return nil, errNotYours
}

// makeRoom drops the entry used longest ago from a full map.
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
