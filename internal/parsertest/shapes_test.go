package parsertest

import (
	"cmp"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// A shapeSite is a gateway for shapes, and where it looks for what.
type shapeSite struct {
	mode               string // default optional
	directive          string
	user, conversation []string // paths
	free               []string // a path of nobody's
	places             []string // in which a claim counts
	address            string
}

var (
	bodyAndQuery = []string{JSON, Form, Query, Merged}
	shapeSites   = map[string]*shapeSite{
		"watched": {
			directive: "conversation body /conversation_id", places: bodyAndQuery,
			user: []string{"user_id"}, conversation: []string{"conversation_id"}, free: []string{"sample_ref"},
		},
		"required": {
			mode: "required", directive: "conversation body /conversation_id", places: bodyAndQuery,
			user: []string{"user_id"}, conversation: []string{"conversation_id"}, free: []string{"sample_ref"},
		},
		"nested": {
			directive: "claim user_id body /user/id\nclaim signature body /user/hash\nconversation body /conversation/id", places: []string{JSON, Form, Merged},
			user: []string{"user", "id"}, conversation: []string{"conversation", "id"}, free: []string{"sample", "ref"},
		},
		"cookie": {
			directive: "claim user_id cookie user_id\nclaim signature cookie user_hash\nconversation cookie conversation_id", places: []string{Cookie},
			user: []string{"user_id"}, conversation: []string{"conversation_id"}, free: []string{"sample_ref"},
		},
		"path": {
			directive: "conversation {path.2}", places: []string{Path, Query},
			user: []string{"user_id"}, conversation: []string{"conversation_id"}, free: []string{"sample_ref"},
		},
	}
	// shapePaths are what the backends are asked for.
	shapePaths = [][]string{{"user_id"}, {"user", "id"}, {"conversation_id"}, {"conversation", "id"}, {"user_hash"}, {"userId"}, {"id"}, {"payload", "user_id"}, {"data", "user", "id"}, {"cid"}}
)

// shapeRun is a gateway with all sites in front of a mirror, and the corpus.
type shapeRun struct {
	t      testing.TB
	shapes []*Shape
	sites  map[string]*shapeSite
	fresh  atomic.Int64
}

// startShapes runs the sites, and others. Their widgets are one, and so are their
// conversations: what the corpus wants held, a user called owner holds.
func startShapes(t testing.TB, backends []*Backend, others ...*differentialSite) *shapeRun {
	t.Helper()
	m := newMirror(t, backends)
	r := &shapeRun{t: t, sites: make(map[string]*shapeSite)}
	var err error
	if r.shapes, err = Shapes(); err != nil || len(r.shapes) < 500 {
		t.Fatal(len(r.shapes), err)
	}
	var file strings.Builder
	fmt.Fprintf(&file, "{%s\nlog {\noutput discard\n}\nservers {\nprotocols h1 h2c\n}\nchat_identity {\nledger bolt %s\n}\n}\n", globals, filepath.Join(t.TempDir(), "ledger.db"))
	for name, site := range shapeSites {
		one := *site
		one.address = fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
		r.sites[name] = &one
		fmt.Fprintf(&file, "http://%s {\nchat_identity %s {\nsecret {env.TEST_SECRET}\n%s\n}\nreverse_proxy %s\n}\n",
			one.address, cmp.Or(one.mode, "optional"), one.directive, strings.TrimPrefix(m.URL, "http://"))
	}
	for _, site := range others {
		file.WriteString(site.block(t, strings.TrimPrefix(m.URL, "http://")))
	}
	run(t, file.String(), r.sites["watched"].address)
	held := make(map[string]bool)
	for _, shape := range r.shapes {
		if held[shape.Held] {
			continue
		}
		held[shape.Held] = true
		if s := r.name("owner", shape.Held); s.user != "owner" {
			t.Fatalf("the owner cannot have %s: %v", shape.Held, s)
		}
	}
	return r
}

// claimIn adds a signed claim to a request, where the site reads one beside the
// request's own body; false where it reads none.
func (s *shapeSite) claimIn(r *Request, user string) bool {
	switch {
	case slices.Contains(s.places, Cookie):
		lines := r.Header["Cookie"]
		if len(lines) == 0 {
			return false
		}
		lines[0] = "user_id=" + user + "; user_hash=" + sign(user) + "; " + lines[0]
	case slices.Contains(s.places, Query):
		joint := "?"
		if strings.Contains(r.Target, "?") {
			joint = "&"
		}
		r.Target += joint + "user_id=" + user + "&user_hash=" + sign(user)
	default:
		return false
	}
	return true
}

// name sends a user's request that names a conversation in the plainest way.
func (r *shapeRun) name(user, conversation string) *said {
	r.t.Helper()
	body := fmt.Sprintf(`{"user_id":%q,"user_hash":%q,"conversation_id":%q}`, user, sign(user), conversation)
	return r.send(r.sites["watched"].address, &Request{Method: "POST", Target: "/chat/messages", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)})
}

// send sends a request to a site. An error fails the test.
func (r *shapeRun) send(address string, request *Request) *said {
	r.t.Helper()
	s, err := sendTo(address, request)
	if err != nil {
		r.t.Errorf("%v: %s %s %v %.1000q", err, request.Method, request.Target, request.Header, request.Body)
		return new(said)
	}
	if s.seen != nil && s.seen.Fault != "" {
		r.t.Errorf("%s: %s %s %v %.1000q", s.seen.Fault, request.Method, request.Target, request.Header, request.Body)
	}
	return s
}

// A role is the name and value that a shape is filled with.
type role int

const (
	unsigned     role = iota // a user id that nobody signed
	beside                   // the same beside the claim of somebody else
	conversation             // a conversation that somebody else holds
	own                      // a new conversation, by a verified user
	free                     // a name of nobody's
	roles
)

func (r role) String() string {
	return [...]string{"unsigned", "beside", "conversation", "own", "free"}[r]
}

// render returns the request of a shape in a role; nil where it has none.
func (r *shapeRun) render(s *Shape, as role) (request *Request, value string) {
	r.t.Helper()
	site := r.sites[s.Site]
	path := site.user
	value = "victim"
	switch as {
	case conversation:
		path, value = site.conversation, s.Sent
	case own:
		path, value = site.conversation, fmt.Sprintf("fresh%d", r.fresh.Add(1))
	case free:
		path, value = site.free, "hello"
	}
	if s.Site == "path" && as != conversation && as != own {
		return nil, ""
	}
	request, err := s.Fill(path, value)
	if err != nil {
		r.t.Fatal(s.ID, err)
	}
	if (as == beside || as == own) && !site.claimIn(request, "intruder") {
		return nil, ""
	}
	return request, value
}

// unvouched returns what parsers read in what was forwarded, and the gateway did
// not vouch for.
func (r *shapeRun) unvouched(site *shapeSite, as role, held string, s *said) (found []finding) {
	r.t.Helper()
	if s.seen == nil {
		return nil
	}
	found = s.unvouched(site.places, site.user)
	owners := make(map[string]bool)
	for _, f := range s.seen.read(site.places, site.conversation) {
		// To some a cookie's quotes are part of its value. The one between them is
		// what is held, and nobody else's.
		f.read = f.read[:1] + strings.Trim(f.read[1:], `"`)
		switch {
		case s.user != "owner" && sameID(f.read, held):
			found = append(found, f)
		case as == own && s.user == "intruder":
			if _, known := owners[f.read]; !known {
				owners[f.read] = r.name("stranger", conversationID(f.read)).reason == "conversation_claimed"
			}
			if !owners[f.read] {
				found = append(found, finding{f.parser, f.read + ", which is anybody's"})
			}
		}
	}
	return found
}

// TestShapes sends each shape of the corpus in each role. What may hold a watched
// name is refused, or cut until no parser of five languages reads it; what holds
// none arrives as it was sent.
func TestShapes(t *testing.T) {
	run := startShapes(t, Start(t, shapePaths))
	for _, shape := range run.shapes {
		t.Run(shape.ID, func(t *testing.T) {
			for as := range roles {
				request, value := run.render(shape, as)
				if request == nil {
					continue
				}
				s := run.send(run.sites[shape.Site].address, request)
				if fault := shapeFault(shape, as, value, request, s); fault != "" {
					t.Errorf("%v: %s; the gateway says %v", as, fault, s)
				}
				for _, f := range run.unvouched(run.sites[shape.Site], as, shape.Held, s) {
					t.Errorf("%v: %s reads %.100q; the gateway says %v", as, f.parser, f.read, s)
				}
			}
		})
	}
}

// shapeFault says what is wrong with the result, whatever parsers read.
func shapeFault(shape *Shape, as role, value string, r *Request, s *said) string {
	refused := s.seen == nil && slices.Contains([]string{"malformed", "ambiguous", "unsupported"}, s.reason)
	switch {
	case as == free && s.seen == nil && !slices.Contains(shape.Free, s.reason):
		return "honest traffic is refused"
	case as == free && s.seen != nil && !slices.Contains(shape.Free, s.reason):
		return "it should be refused"
	case as == free && s.seen != nil && !s.seen.asSent(r):
		return fmt.Sprintf("%.200q became %.200q", r.Body, s.seen.Body)
	case as == free || as == own || refused || shape.Loose, s.seen != nil && shape.Typed != "" && s.seen.Header.Get("Content-Type") == shape.Typed:
		return ""
	case as == conversation && s.seen == nil && s.reason == "conversation_claimed":
		return ""
	case as == conversation:
		return "somebody else's conversation is reached"
	case s.seen == nil:
		return "it is refused for another reason"
	case s.user != "":
		return "it is verified"
	case strings.Contains(s.seen.Target+fmt.Sprint(s.seen.Header)+string(s.seen.Body), value) || (shape.Encode != "" || strings.Contains(shape.Body, "{value:")) && s.seen.asSent(r):
		return "the unsigned id is forwarded"
	}
	return ""
}
