# bash completion for tokenpool(1)

# Completes the words of CMD as if they stood alone on the line. $1: index of CMD in COMP_WORDS.
_tokenpool_command() {
  local first=$1
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$first"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$first"
  elif ((COMP_CWORD == first)); then
    mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
  fi
}

_tokenpool_run() {
  local cur=${COMP_WORDS[COMP_CWORD]} i option=''
  # COMP_WORDBREAKS splits --track=exact into three words.
  for ((i = 2; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -j | --jobs | --track | --shims | --standstill | --report | --listen | --limit | --nice)
        option=${COMP_WORDS[i]}
        ((++i))
        [[ ${COMP_WORDS[i]} == '=' ]] && ((++i))
        ((i < COMP_CWORD)) && option=''
        ;;
      --wrap)
        # Its value only stands behind =.
        [[ ${COMP_WORDS[i + 1]-} == '=' ]] && ((i += 2))
        ;;
      --)
        _tokenpool_command $((i + 1))
        return
        ;;
      -*) ;;
      *)
        _tokenpool_command "$i"
        return
        ;;
    esac
  done
  [[ $cur == '=' ]] && cur=''
  case $option in
    -j | --jobs) mapfile -t COMPREPLY < <(compgen -W "auto cpus cpus-1 50% $(nproc 2>/dev/null)" -- "$cur") ;;
    --track) mapfile -t COMPREPLY < <(compgen -W 'auto exact infer' -- "$cur") ;;
    --shims) mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$cur") ;;
    --standstill) mapfile -t COMPREPLY < <(compgen -W 'off' -- "$cur") ;;
    --limit) mapfile -t COMPREPLY < <(compgen -W 'link= compile=' -- "$cur") ;;
    --nice) mapfile -t COMPREPLY < <(compgen -W '10 19' -- "$cur") ;;
    --listen) mapfile -t COMPREPLY < <(compgen -W 'tcp:127.0.0.1:0' -- "$cur") ;;
    --report)
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      compopt -o filenames 2>/dev/null
      ;;
    *)
      if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '-j --jobs --track --shims --standstill --wrap --limit --enforce
          --die-with-parent --end-leftovers --nice --listen --allow-remote --report -q -h --help --' -- "$cur")
      else
        _tokenpool_command "$COMP_CWORD"
      fi
      ;;
  esac
}

_tokenpool_exec() {
  local cur=${COMP_WORDS[COMP_CWORD]} i option=''
  for ((i = 2; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --slots | --type | --target | --memory | --priority | --timeout | --alone-after | --nice)
        option=${COMP_WORDS[i]}
        ((++i))
        [[ ${COMP_WORDS[i]} == '=' ]] && ((++i))
        ((i < COMP_CWORD)) && option=''
        ;;
      --)
        _tokenpool_command $((i + 1))
        return
        ;;
      -*) ;;
      *)
        _tokenpool_command "$i"
        return
        ;;
    esac
  done
  [[ $cur == '=' ]] && cur=''
  case $option in
    --slots) mapfile -t COMPREPLY < <(compgen -W "1 1-$(nproc 2>/dev/null)" -- "$cur") ;;
    --type) mapfile -t COMPREPLY < <(compgen -W 'compile link test' -- "$cur") ;;
    --*) ;;
    *)
      if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--slots --type --target --memory --priority --timeout --alone-after
          --nice --opam -q -h --help --' -- "$cur")
      else
        _tokenpool_command "$COMP_CWORD"
      fi
      ;;
  esac
}

_tokenpool_serve() {
  local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}
  [[ $cur == '=' ]] && cur=''
  [[ $option == '=' ]] && option=${COMP_WORDS[COMP_CWORD - 2]}
  case $option in
    -j | --jobs) mapfile -t COMPREPLY < <(compgen -W "auto cpus cpus-1 50% $(nproc 2>/dev/null)" -- "$cur") ;;
    --limit) mapfile -t COMPREPLY < <(compgen -W 'link= compile=' -- "$cur") ;;
    --standstill) mapfile -t COMPREPLY < <(compgen -W 'off' -- "$cur") ;;
    --listen) mapfile -t COMPREPLY < <(compgen -W 'tcp:127.0.0.1:0' -- "$cur") ;;
    --config | --cookie-file)
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      compopt -o filenames 2>/dev/null
      ;;
    *)
      mapfile -t COMPREPLY < <(compgen -W '-j --jobs --listen --limit --cookie-file --allow-remote
        --standstill --config -q -h --help' -- "$cur")
      ;;
  esac
}

# Commands that are for a server. $1: options of their own, $2: other words.
_tokenpool_server() {
  local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}
  [[ $cur == '=' ]] && cur=''
  [[ $option == '=' ]] && option=${COMP_WORDS[COMP_CWORD - 2]}
  if [[ $option == --server || $option == --cookie-file ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    compopt -o filenames 2>/dev/null
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$1 --server --run --cookie-file -h --help" -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -W "${2-}" -- "$cur")
    if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace 2>/dev/null; fi
  fi
}

_tokenpool() {
  local cur=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W 'run serve exec status set pause resume doctor env help
      --help --version' -- "$cur")
    return
  fi
  case ${COMP_WORDS[1]} in
    run) _tokenpool_run ;;
    serve) _tokenpool_serve ;;
    exec) _tokenpool_exec ;;
    status) _tokenpool_server '--json --watch --all' ;;
    set) _tokenpool_server '' 'jobs= limit.link= limit.compile= limit.test= lease.' ;;
    pause | resume) _tokenpool_server '' ;;
    env) _tokenpool_server '--json' ;;
    doctor) mapfile -t COMPREPLY < <(compgen -W '-v --verbose --json -h --help' -- "$cur") ;;
    help)
      if ((COMP_CWORD == 2)); then
        mapfile -t COMPREPLY < <(compgen -W 'run serve exec status set pause resume doctor env' -- "$cur")
      fi
      ;;
  esac
  return 0
}

# All of its words are the command.
_tokenpool_launcher() {
  COMPREPLY=()
  _tokenpool_command 1
}

complete -F _tokenpool tokenpool
complete -F _tokenpool_launcher tokenpool-exec
