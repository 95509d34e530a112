export type Shell = "bash" | "zsh" | "fish";

export function isShell(name: string): name is Shell {
  return name === "bash" || name === "zsh" || name === "fish";
}

const BASH = `_sky_completion() {
    local IFS=$'\\n'
    local response
    response=$(env COMP_WORDS="\${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _SKY_COMPLETE=bash_complete "$1")
    COMPREPLY=()
    local completion type value
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
    return 0
}
complete -o nosort -F _sky_completion sky
`;

const ZSH = `#compdef sky
_sky_completion() {
    local -a completions completions_with_descriptions response
    (( ! $+commands[sky] )) && return 1
    response=("\${(@f)$(env COMP_WORDS="\${words[*]}" COMP_CWORD=$((CURRENT-1)) _SKY_COMPLETE=zsh_complete sky)}")
    for type key descr in \${response}; do
        if [[ "$type" == "plain" ]]; then
            if [[ "$descr" == "_" ]]; then
                completions+=("$key")
            else
                completions_with_descriptions+=("$key":"$descr")
            fi
        elif [[ "$type" == "dir" ]]; then
            _path_files -/
        elif [[ "$type" == "file" ]]; then
            _path_files -f
        fi
    done
    if [ -n "$completions_with_descriptions" ]; then
        _describe -V unsorted completions_with_descriptions -U
    fi
    if [ -n "$completions" ]; then
        compadd -U -V unsorted -a completions
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _sky_completion "$@"
else
    compdef _sky_completion sky
fi
`;

const FISH = `function _sky_completion
    set -l response (env _SKY_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) sky)
    for completion in $response
        set -l metadata (string split -m 1 "," -- $completion)
        if test $metadata[1] = "dir"
            __fish_complete_directories $metadata[2]
        else if test $metadata[1] = "file"
            __fish_complete_path $metadata[2]
        else if test $metadata[1] = "plain"
            echo $metadata[2]
        end
    end
end
complete --no-files --command sky --arguments "(_sky_completion)"
`;

/** What a shell has to load so that it asks us for completions. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return BASH;
    case "zsh":
      return ZSH;
    case "fish":
      return FISH;
  }
}
