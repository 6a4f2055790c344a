package ui

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"aicluster/provision/engine"
)

// Progress shows a walk's events as they come. Close ends it.
type Progress interface {
	Event(engine.Event)
	Close()
}

// Progress is live lines on a terminal, JSON lines with JSON output, and plain
// lines otherwise.
func (c *Console) Progress() Progress {
	switch {
	case c.JSON:
		return jsonProgress{c}
	case c.Terminal:
		return newLiveProgress(c)
	}
	return plainProgress{c}
}

// stepLine is the JSON form of an event.
type stepLine struct {
	Type           string        `json:"type"` // "step"
	Resource       string        `json:"resource"`
	Action         engine.Action `json:"action"`
	State          engine.State  `json:"state"`
	ElapsedSeconds float64       `json:"elapsedSeconds"`
	Message        string        `json:"message,omitempty"`
	Cause          string        `json:"cause,omitempty"`
	Error          *Failure      `json:"error,omitempty"`
	Time           time.Time     `json:"time"`
}

type jsonProgress struct{ c *Console }

func (p jsonProgress) Event(e engine.Event) {
	line := stepLine{Type: "step", Resource: e.Resource, Action: e.Action, State: e.State,
		ElapsedSeconds: seconds(e.Elapsed), Message: e.Message, Cause: e.Cause, Time: e.Time.UTC()}
	if e.Err != nil {
		line.Error = &Failures(e.Err)[0]
	}
	_ = p.c.Line(line) // a reader that has gone away must not stop the run
}

func (jsonProgress) Close() {}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// plainProgress writes one line when a step starts, for each message, and when
// it ends.
type plainProgress struct{ c *Console }

func (p plainProgress) Event(e engine.Event) {
	switch e.State {
	case engine.Started:
		p.c.Say("  %s: %s", e.Resource, present(e.Action))
	case engine.Running:
		if e.Message != present(e.Action) { // said when it started
			p.c.Say("  %s: %s (%s)", e.Resource, e.Message, Duration(e.Elapsed))
		}
	default:
		if line := p.c.endLine(e); line != "" {
			p.c.Say("%s", line)
		}
	}
}

func (p plainProgress) Close() {}

// endLine is the line that ends a step; steps that had nothing to do have none.
func (c *Console) endLine(e engine.Event) string {
	name := c.Name(e.Resource)
	switch e.State {
	case engine.Succeeded:
		switch e.Action {
		case engine.ActionNone, engine.ActionRead:
			return ""
		case engine.ActionKeep:
			return fmt.Sprintf("  %s kept: %s", name, e.Message)
		}
		return fmt.Sprintf("%s %s %s %s", c.mark(e.Action), name, past(e.Action), c.Dim(Duration(e.Elapsed)))
	case engine.Failed:
		return fmt.Sprintf("%s %s %s after %s: %s", c.Red("x"), name, c.Red("failed"), Duration(e.Elapsed), Failures(e.Err)[0].Message)
	case engine.Blocked:
		return fmt.Sprintf("%s %s not tried: %s failed", c.Yellow("-"), name, e.Cause)
	case engine.Interrupted:
		if e.Elapsed == 0 { // it had not begun
			return ""
		}
		return fmt.Sprintf("%s %s interrupted", c.Yellow("-"), name)
	}
	return ""
}

// liveProgress keeps one moving line for each running step at the foot of the
// terminal; ended steps scroll away above.
type liveProgress struct {
	c    *Console
	bars *mpb.Progress
	mu   sync.Mutex
	live map[string]*liveLine
}

type liveLine struct {
	bar *mpb.Bar
	mu  sync.Mutex
	msg string
}

func (l *liveLine) message() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.msg
}

func newLiveProgress(c *Console) *liveProgress {
	return &liveProgress{c: c, live: map[string]*liveLine{},
		bars: mpb.New(mpb.WithOutput(c.Err), mpb.WithWidth(c.Width), mpb.WithRefreshRate(150*time.Millisecond), mpb.WithAutoRefresh())}
}

func (p *liveProgress) Event(e engine.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.State {
	case engine.Started:
		p.start(e)
	case engine.Running:
		if l := p.live[e.Resource]; l != nil {
			l.mu.Lock()
			l.msg = e.Message
			l.mu.Unlock()
		}
	default:
		if l := p.live[e.Resource]; l != nil {
			l.bar.Abort(true)
			delete(p.live, e.Resource)
		}
		if line := p.c.endLine(e); line != "" {
			fmt.Fprintln(p.bars, line)
		}
	}
}

// spinnerWidth is what a live line holds beside its words: the spinner, and blanks.
const spinnerWidth = 7

func (p *liveProgress) start(e engine.Event) {
	l := &liveLine{msg: present(e.Action)}
	start := time.Now()
	name := p.c.Name(e.Resource)
	l.bar = p.bars.New(0, mpb.SpinnerStyle().PositionLeft(),
		mpb.BarWidth(2),
		mpb.AppendDecorators(
			decor.Name(name),
			decor.Any(func(decor.Statistics) string {
				elapsed := Duration(time.Since(start))
				room := p.c.Width - len(name) - len(elapsed) - spinnerWidth
				return fmt.Sprintf(" %s %s", shorten(l.message(), room), p.c.Dim(elapsed))
			}),
		))
	p.live[e.Resource] = l
}

func (p *liveProgress) Close() {
	p.mu.Lock()
	for _, l := range p.live {
		l.bar.Abort(true)
	}
	p.mu.Unlock()
	p.bars.Wait()
}

// shorten cuts text to at most width columns.
func shorten(text string, width int) string {
	runes := []rune(text)
	if width < 1 || len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}
