package adminapi

// Health says whether a gateway can do its work.
type Health struct {
	Status Status `json:"status"`
	// Problems are sentences, each with what to do.
	Problems []string `json:"problems,omitempty"`
}

// Status is the worst of a gateway's problems.
type Status string

// The statuses.
const (
	OK       Status = "ok"
	Degraded Status = "degraded" // requests can still be served
	Down     Status = "down"
)

// Statuses are all statuses.
var Statuses = []Status{OK, Degraded, Down}

// Add adds a problem.
func (h *Health) Add(status Status, problem string) {
	h.Problems = append(h.Problems, problem)
	if h.Status != Down {
		h.Status = status
	}
}
