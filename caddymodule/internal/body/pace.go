package body

import (
	"cmp"
	"time"
)

// Pace is how fast a body must arrive: that many bytes in each period. The zero value is 64
// KiB in 30 s.
type Pace struct {
	Bytes  int64
	Period time.Duration
	Now    func() time.Time
}

func (p Pace) withDefaults() Pace {
	p.Bytes, p.Period = cmp.Or(p.Bytes, 64<<10), cmp.Or(p.Period, 30*time.Second)
	if p.Now == nil {
		p.Now = time.Now
	}
	return p
}

// pacer watches the pace of one body.
type pacer struct {
	Pace
	deadline func(time.Time) error // sets that of reads; nil if it cannot
	begun    time.Time             // when the period began
	arrived  int64                 // since then
}

func (p *pacer) begin() {
	p.begun, p.arrived = p.Now(), 0
	if p.deadline != nil && p.deadline(p.begun.Add(p.Period)) != nil {
		p.deadline = nil
	}
}

// add counts the bytes of a read.
func (p *pacer) add(n int) error {
	if p.Now().Sub(p.begun) > p.Period {
		return ErrStalled
	}
	if p.arrived += int64(n); p.arrived >= p.Bytes {
		p.begin()
	}
	return nil
}

// end removes the deadline, except after a stall, when the server would otherwise wait for
// the rest of the body.
func (p *pacer) end(err error) {
	if p.deadline != nil && err != ErrStalled {
		_ = p.deadline(time.Time{})
	}
}
