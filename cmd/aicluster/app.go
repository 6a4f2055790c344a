package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/urfave/cli/v2"

	"aicluster/cmd/aicluster/ui"
	"aicluster/provision/cloud"
)

// app is the process's parts that every command shares. The streams are the
// process's own; what needs AWS is made when a command asks for it, so that
// help and validation need no credentials.
type app struct {
	cli     *cli.App
	console *ui.Console
	version string
	acts    string // the running command if it is one that acts: its JSON ends with a summary
	cluster string // that it works on, once that is known
}

func newApp(stdin, stdout, stderr *os.File) *app {
	a := &app{version: buildVersion(), console: ui.NewConsole(stdin, stdout, stderr, false)}
	a.cli = &cli.App{
		Name:                 "aicluster",
		Usage:                "GPU clusters on EKS from one blueprint file",
		UsageText:            "aicluster COMMAND [options] FILE",
		Version:              a.version,
		EnableBashCompletion: true,
		Suggest:              true,
		Reader:               stdin,
		Writer:               stdout,
		ErrWriter:            stderr,
		ExitErrHandler:       func(*cli.Context, error) {}, // exit codes are exit.go's
		OnUsageError:         onUsageError,
		CommandNotFound:      nil,
		Action:               a.noCommand,
		Commands: []*cli.Command{
			a.initCommand(),
			a.validateCommand(),
			a.diffCommand(),
			a.upCommand(),
			a.statusCommand(),
			a.doctorCommand(),
			a.logsCommand(),
			a.verifyCommand(),
			a.connectCommand(),
			a.modelsCommand(),
			a.kubeconfigCommand(),
			a.tokenCommand(),
			a.teardownCommand(),
			a.renderCommand(),
			a.iamPolicyCommand(),
			a.schemaCommand(),
			a.completionCommand(),
			a.versionCommand(),
		},
	}
	for _, c := range a.cli.Commands {
		a.prepare(c)
	}
	return a
}

// prepare gives a command what all commands have: --output, and errors of usage
// in our words.
func (a *app) prepare(c *cli.Command) {
	c.OnUsageError = onUsageError
	for _, sub := range c.Subcommands {
		a.prepare(sub)
	}
	if len(c.Subcommands) > 0 {
		c.HideHelpCommand = true
		return
	}
	c.Flags = append(c.Flags, &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`FORMAT` of the output: text or json"})
	c.HideHelpCommand = true
	c.Before = func(ctx *cli.Context) error {
		if slices.Contains([]string{"up", "teardown", "push"}, ctx.Command.Name) {
			a.acts = ctx.Command.FullName()
		}
		switch ctx.String("output") {
		case "text":
		case "json":
			a.console.JSON = true
		default:
			return commandLine("--output is text or json, not %q", ctx.String("output"))
		}
		return nil
	}
}

func onUsageError(_ *cli.Context, err error, _ bool) error {
	return commandLine("%w", err)
}

func (a *app) noCommand(ctx *cli.Context) error {
	if name := ctx.Args().First(); name != "" {
		if s := a.similar(name); s != "" {
			return commandLine("there is no command %q; did you mean %q?", name, s)
		}
		return commandLine("there is no command %q", name)
	}
	return cli.ShowAppHelp(ctx)
}

// similar is the command that name is most likely a slip of the pen for, or empty.
func (a *app) similar(name string) string {
	const slips = 2
	best, distance := "", slips+1
	for _, c := range a.cli.Commands {
		for _, n := range c.Names() {
			if d := levenshtein.Distance(name, n, nil); d < distance {
				best, distance = n, d
			}
		}
	}
	return best
}

// end shows err, unless the command has, and returns the exit code.
func (a *app) end(err error) int {
	code := exitCode(err)
	var told shown
	if err != nil && !errors.As(err, &told) && !errors.Is(err, errDiffers) {
		a.endJSON(err, code)
		a.console.ShowError(err)
		var usage *usageError
		if errors.As(err, &usage) && usage.help {
			a.console.Hint("aicluster --help, or aicluster COMMAND --help")
		}
	}
	return code
}

// endJSON writes the end of a command that failed before it had anything else
// to say.
func (a *app) endJSON(err error, code int) {
	if !a.console.JSON || a.console.Summarised() {
		return
	}
	if a.acts == "" {
		_ = a.console.Line(ui.ErrorDocument{Type: "error", Errors: ui.Failures(err)})
		return
	}
	result := resultFailed
	if code == exitInterrupted {
		result = resultInterrupted
	}
	_ = a.console.Summary(summaryLine{Type: "summary", Command: a.acts, Cluster: a.cluster, Result: result, Errors: ui.Failures(err)})
}

// clients makes the AWS clients and checks the credentials, so that a run
// without any ends with one sentence.
func (a *app) clients(ctx context.Context, region string) (*cloud.Clients, cloud.Identity, error) {
	c, err := cloud.New(ctx, region, a.version)
	if err != nil {
		return nil, cloud.Identity{}, err
	}
	id, err := c.Identity(ctx)
	if err != nil {
		return nil, cloud.Identity{}, err
	}
	return c, id, nil
}

// fileArg is the one positional argument that most commands take.
func fileArg(ctx *cli.Context) (string, error) {
	name := strings.TrimPrefix(ctx.Command.HelpName, "aicluster ") // with its parent's: "models push"
	switch ctx.NArg() {
	case 1:
		return ctx.Args().First(), nil
	case 0:
		return "", commandLine("%s needs a blueprint file: aicluster %s FILE", name, name)
	}
	return "", commandLine("%s takes one blueprint file, not %d arguments", name, ctx.NArg())
}

// interspersed moves flags before arguments, as kubectl and helm accept them
// anywhere, while the flag package stops at the first argument. What follows
// "--" stays.
func interspersed(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	out := []string{args[0]}
	rest := args[1:]
	commands := app.Commands
	var flags []cli.Flag
	for len(rest) > 0 {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(rest[0]) })
		if i < 0 {
			break
		}
		out = append(out, rest[0])
		flags, commands, rest = commands[i].Flags, commands[i].Subcommands, rest[1:]
	}
	if last := args[len(args)-1]; last == "--generate-bash-completion" {
		return append(out, last) // the rest may be half a word; urfave/cli takes that from os.Args
	}
	var moved, kept []string
	for i := 0; i < len(rest); i++ {
		arg := rest[i]
		if arg == "--" {
			kept = append(kept, rest[i:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			kept = append(kept, arg)
			continue
		}
		moved = append(moved, arg)
		if !strings.Contains(arg, "=") && takesValue(flags, strings.TrimLeft(arg, "-")) && i+1 < len(rest) {
			i++
			moved = append(moved, rest[i])
		}
	}
	return append(append(out, moved...), kept...)
}

func takesValue(flags []cli.Flag, name string) bool {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			_, isBool := f.(*cli.BoolFlag)
			return !isBool
		}
	}
	return false
}
