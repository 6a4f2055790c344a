package main

import "github.com/urfave/cli/v2"

// The scripts ask the program itself what can follow, by the flag that
// urfave/cli adds for it.
const bashCompletion = `# bash completion for aicluster: source <(aicluster completion bash)
_aicluster() {
  local cur="${COMP_WORDS[COMP_CWORD]}" words
  words=$("${COMP_WORDS[@]:0:COMP_CWORD}" ${cur:+"$cur"} --generate-bash-completion 2>/dev/null)
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _aicluster aicluster
`

const zshCompletion = `#compdef aicluster
# zsh completion for aicluster: source <(aicluster completion zsh)
_aicluster() {
  local -a found
  found=("${(@f)$("${(@)words[1,CURRENT-1]}" ${words[CURRENT]} --generate-bash-completion 2>/dev/null)}")
  [[ -n "${found[1]}" ]] && compadd -- "${found[@]}"
  _files
}
compdef _aicluster aicluster
`

func (a *app) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print shell completion",
		ArgsUsage: "bash|zsh|fish",
		Action: func(ctx *cli.Context) error {
			switch shell := ctx.Args().First(); shell {
			case "bash":
				a.console.Data("%s", bashCompletion)
			case "zsh":
				a.console.Data("%s", zshCompletion)
			case "fish":
				script, err := a.cli.ToFishCompletion()
				if err != nil {
					return err
				}
				a.console.Data("%s", script)
			default:
				return commandLine("completion is for bash, zsh or fish, not %q", shell)
			}
			return nil
		},
	}
}
