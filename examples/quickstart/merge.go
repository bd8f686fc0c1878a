package main

import "time"

// visitor is an anonymous user, whose id was chosen by a page.
type visitor struct {
	browser string // of the first message
	person  person // who signed in, if any
	used    time.Time
}

// merged says what was given to a person.
type merged struct {
	Visitor  string `json:"visitor"`
	Messages int    `json:"messages"` // of the visitor's, not the agent's
}

func (m *merged) count() int {
	if m == nil {
		return 0
	}
	return m.Messages
}

// before returns the owner that the sender claims to have been before signing in.
func (f sender) before() owner { return owner{visitor: f.MergeFrom, browser: f.browser} }

// merge gives a visitor's conversations to the person who signed in. The gateway asks
// for it until a message has been accepted, so more than once: then there is nothing
// left to do. That the sender was this visitor is only a claim, so the visitor must
// have written from this browser and not have become anyone else. Otherwise the
// message must be refused: to accept it would tell the gateway that the merging is
// done, and the rightful user would never get it.
func (s *store) merge(from sender) (*merged, error) {
	if from.MergeFrom == "" {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.visitors[from.MergeFrom]; v != nil && v.person != from.person() && !s.isOwn(from.MergeFrom, from) {
		return nil, errNotYours
	}
	s.visit(from.MergeFrom, from.browser).person = from.person()
	done := &merged{Visitor: from.MergeFrom}
	for _, c := range s.conversations {
		if c.owner != from.before() {
			continue
		}
		c.owner = from.owner()
		for i := range c.messages {
			if c.messages[i].From == "visitor" {
				c.messages[i].Merged = true
				done.Messages++
			}
		}
	}
	return done, nil
}

// isOwn reports whether the sender may be a visitor: a new one, or one of this browser
// that has not become a person.
func (s *store) isOwn(id string, from sender) bool {
	v := s.visitors[id]
	return v == nil || v.browser == from.browser && v.person == (person{})
}

// visit returns a visitor's entry, and marks it as used.
func (s *store) visit(id, browser string) *visitor {
	v := s.visitors[id]
	if v == nil {
		makeRoom(s.visitors, maxVisitors, func(v *visitor) time.Time { return v.used })
		v = &visitor{browser: browser}
		s.visitors[id] = v
	}
	v.used = s.now()
	return v
}
