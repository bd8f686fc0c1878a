//go:build fuzz

package parsertest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fuzzRun is the long run: shapes in front of the parsers of servers and
// frameworks, until its time is over.
type fuzzRun struct {
	*shapeRun
	differential []*differentialSite

	mu       sync.Mutex
	findings map[string]map[string][]string // by request and by what was read: the parsers
	examples map[string]int
	sent     int
}

// TestFuzzParsers sends the corpus, then whatever a generator makes of it and of
// the samples of the differential test. It lists what a parser reads as user or
// conversation that the gateway did not verify, and honest traffic that does not
// arrive as it was sent. FUZZTIME says how long, SEED repeats a run.
func TestFuzzParsers(t *testing.T) {
	limit, err := time.ParseDuration(os.Getenv("FUZZTIME"))
	if err != nil {
		t.Fatal("FUZZTIME:", err)
	}
	seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("SEED=%d", seed)
	differential := differentialSites()
	backends := StartAll(t, shapePaths)
	run := &fuzzRun{startShapes(t, backends, differential...), differential, sync.Mutex{}, make(map[string]map[string][]string), make(map[string]int), 0}
	run.readers(backends)
	for _, shape := range run.shapes {
		if shape.Site == "watched" {
			required := *shape
			required.Site = "required"
			run.shapes = append(run.shapes, &required)
		}
	}
	var trials []func()
	for _, shape := range run.shapes {
		for as := range roles {
			trials = append(trials, func() { run.try(shape, as, nil) })
		}
	}
	for i, site := range differential {
		for _, p := range site.samples(rand.New(rand.NewPCG(seed, uint64(i)))) {
			trials = append(trials, func() { run.sample(site, p) })
		}
	}
	corpus := len(run.shapes) * int(roles)
	random := rand.New(rand.NewPCG(seed, 99))
	random.Shuffle(len(trials)-corpus, func(i, j int) {
		trials[corpus+i], trials[corpus+j] = trials[corpus+j], trials[corpus+i]
	})
	run.work(time.Now().Add(limit), trials, random)
	run.report()
}

// work runs the trials, with random ones among those after the corpus, on several
// workers. The corpus is always sent whole.
func (r *fuzzRun) work(end time.Time, trials []func(), random *rand.Rand) {
	queue := make(chan func())
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for trial := range queue {
				trial()
			}
		})
	}
	corpus := len(r.shapes) * int(roles)
	for i := 0; i < corpus || time.Now().Before(end); i++ {
		if i < len(trials) {
			queue <- trials[i]
		}
		if i >= corpus {
			mixed := rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
			queue <- func() { r.mixed(mixed) }
		}
	}
	close(queue)
	workers.Wait()
}

// try sends a shape in a role, after a change.
func (r *fuzzRun) try(shape *Shape, as role, change func(*Request)) {
	request, value := r.render(shape, as)
	if request == nil {
		return
	}
	label := fmt.Sprintf("%s\t%s\t%v", shape.ID, shape.Site, as)
	if change != nil {
		change(request)
		label = fmt.Sprintf("(changed)\t%s\t%v", shape.Site, as)
	}
	s := r.send(r.sites[shape.Site].address, request)
	found := r.unvouched(r.sites[shape.Site], as, shape.Held, s)
	switch {
	case as != free:
	case change == nil:
		if fault := shapeFault(shape, as, value, request, s); fault != "" {
			found = append(found, finding{fault, ""})
		}
	case s.seen == nil && s.reason != "missing" && !cannotTell(request), s.seen != nil && !s.seen.asSent(request):
		found = append(found, finding{"honest traffic is not forwarded as it is", ""})
	}
	r.add(label, s, found, request, change != nil)
}

// sample sends a sample of the differential test.
func (r *fuzzRun) sample(site *differentialSite, p sample) {
	request := p.request()
	if request == nil {
		return
	}
	s := r.send(site.address, request)
	if s.seen == nil {
		return
	}
	found := s.unvouched(inBodies, site.paths()...)
	r.add("(sample)\t"+site.title+"\t", s, found, request, true)
}

// mixed sends a shape of the corpus with the type of another, with changed bytes,
// or both.
func (r *fuzzRun) mixed(random *rand.Rand) {
	shape, other := r.shapes[random.IntN(len(r.shapes))], r.shapes[random.IntN(len(r.shapes))]
	as := role(random.IntN(int(roles)))
	r.try(shape, as, func(request *Request) {
		how := random.IntN(3)
		if how != 0 && request.Body != nil {
			request.Header["Content-Type"] = slices.Clone(other.Type)
		}
		if how != 1 && as != free {
			request.Body = []byte(mutate(random, string(request.Body)))
		}
		if how != 1 && as != free && (shape.Site == "path" || random.IntN(4) == 0) {
			path, query, asked := strings.Cut(request.Target, "?")
			if shape.Site == "path" {
				path = "/" + strings.ReplaceAll(sendable(mutate(random, path[1:])), "?", "")
			}
			if asked {
				query = "?" + sendable(mutate(random, query))
			}
			request.Target = path + query
		}
	})
}

var knownCharset = regexp.MustCompile(`(?i)^"?(utf-?(8|16|32)([bl]e)?|us-ascii|ascii|iso-8859-[0-9]+|windows-125[0-9]|)"?$`)

// cannotTell reports whether the contract lets a gateway refuse a request because
// it cannot tell whether it holds a name.
func cannotTell(r *Request) bool {
	if r.Header.Get("Content-Encoding") != "" || strings.Contains(string(r.Body), "_charset_") {
		return true
	}
	types := strings.ToLower(strings.Join(r.Header["Content-Type"], ","))
	if strings.Count(types, "boundary") > 1 {
		return true
	}
	for _, part := range strings.Split(types, "charset=")[1:] {
		charset, _, _ := strings.Cut(part, ";")
		if charset, _, _ = strings.Cut(charset, ","); !knownCharset.MatchString(strings.TrimSpace(charset)) {
			return true
		}
	}
	return false
}
