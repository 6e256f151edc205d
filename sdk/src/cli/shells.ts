// The scripts that make shells ask for completions. They know no command: all of it comes from `leasehold __complete`, so that
// a script in somebody's profile still fits after an upgrade.
//
// `__complete WORD… CURRENT` answers a line for each word that may stand there, after a tab what it is; `:files`: a file.

const BASH = `# bash completion of leasehold. In ~/.bashrc: source <(leasehold completion bash)
_leasehold() {
  local line=\${COMP_LINE:0:COMP_POINT} words current kept word help
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[\${#words[@]}-1]}
  # Readline replaces only what follows the last : or = of a word.
  kept=\${current%"\${current##*[:=]}"}
  COMPREPLY=()
  while IFS=$'\\t' read -r word help; do
    if [[ $word == :files ]]; then
      compopt -o filenames 2>/dev/null
      while read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
    else
      COMPREPLY+=("\${word#"$kept"}")
    fi
  done < <("$1" __complete "\${words[@]:1}" 2>/dev/null)
}
complete -F _leasehold leasehold
`;

const ZSH = `#compdef leasehold
# zsh completion of leasehold. In ~/.zshrc, after compinit: source <(leasehold completion zsh)
_leasehold() {
  local -a found
  local line
  for line in "\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line ]] && continue
    if [[ $line == :files ]]; then
      _files
      return
    fi
    # In a description the first colon ends the word.
    found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  _describe leasehold found
}
if [[ \${funcstack[1]} == _leasehold ]]; then
  _leasehold "$@"
else
  compdef _leasehold leasehold
fi
`;

const FISH = `# fish completion of leasehold. Once: leasehold completion fish > ~/.config/fish/completions/leasehold.fish
function __leasehold_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path "$current"
    else
        printf '%s\\n' $found
    end
end
complete -c leasehold -f -a '(__leasehold_complete)'
`;

/** The shells for which there is a script. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** The script of a shell; undefined: there is none. */
export function completionScript(shell: string): string | undefined {
  return Object.entries(SCRIPTS).find(([name]) => name === shell)?.[1];
}
