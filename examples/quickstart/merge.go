package main

import "time"

// visitor is somebody anonymous, by the id that a page made up for him.
type visitor struct {
	browser string // where he first wrote
	person  person // whom he turned out to be, once he has signed in
	used    time.Time
}

// merged says what became a person's own.
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

// before returns who the sender owned things as before he signed in, as the
// gateway was told.
func (f sender) before() owner { return owner{visitor: f.MergeFrom, browser: f.browser} }

// merge makes what the sender wrote as a visitor the person's who he is now. The
// gateway asks for it until a message was accepted, so at least once: a second
// time finds nothing left to do. That he was this visitor is only what the
// sender says, so the visitor must be nobody else's, and have written in this
// browser. Else the message is not accepted: that would tell the gateway that
// the merging is done, and the one it is due to would never have it.
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

// isOwn reports whether a visitor may be the sender: one that nobody knows yet,
// or that sits in this browser and has not become anybody.
func (s *store) isOwn(id string, from sender) bool {
	v := s.visitors[id]
	return v == nil || v.browser == from.browser && v.person == (person{})
}

// visit returns what is known of a visitor, who is here now.
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
