# fish completion for tokenpool(1)

# The words of CMD, as far as they are typed; empty while the options of run are not over.
function __tokenpool_cmd
    set -l words (commandline -opc) (commandline -ct)
    set -e words[1]
    test "$words[1]" = run; or return 1
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case -j --track --shims --report
                set -e words[1]
                set -q words[1]; and set -e words[1]
            case --
                set -e words[1]
                break
            case '-*'
                set -e words[1]
            case '*'
                break
        end
    end
    set -q words[1]; or return 1
    printf '%s\n' $words
end

function __tokenpool_in_options
    set -l words (commandline -opc)
    test "$words[2]" = run; or return 1
    set -l cmd (__tokenpool_cmd)
    test (count $cmd) -le 1
end

function __tokenpool_complete_cmd
    set -l cmd (__tokenpool_cmd); or return
    # An empty word stays empty: quoted, it would complete to nothing.
    complete -C (string join ' ' -- (string escape -n -- $cmd))
end

complete -c tokenpool -f
complete -c tokenpool -n __fish_use_subcommand -a run -d 'Run a build under one pool of slots'
complete -c tokenpool -n __fish_use_subcommand -a doctor -d 'What this machine and its tools can do'
complete -c tokenpool -n __fish_use_subcommand -a env -d 'The variables of the surrounding pool'
complete -c tokenpool -n __fish_use_subcommand -a help -d 'Explain a command'
complete -c tokenpool -n __fish_use_subcommand -l version -d 'Show the version'
complete -c tokenpool -n __fish_use_subcommand -s h -l help -d 'Show the help'

complete -c tokenpool -n __tokenpool_in_options -s j -x -a auto -d 'Slots of the pool'
complete -c tokenpool -n __tokenpool_in_options -l track -x -a 'auto exact infer' -d 'How holders are known'
complete -c tokenpool -n __tokenpool_in_options -l shims -x -a 'on off' -d 'Adjust the flags of the tools'
complete -c tokenpool -n __tokenpool_in_options -l report -r -F -d 'Write a report'
complete -c tokenpool -n __tokenpool_in_options -s q -d 'No closing line'
complete -c tokenpool -n '__fish_seen_subcommand_from run' -a '(__tokenpool_complete_cmd)'

complete -c tokenpool -n '__fish_seen_subcommand_from doctor env; and not __fish_seen_subcommand_from run' -l json -d 'Print JSON'
complete -c tokenpool -n '__fish_seen_subcommand_from help; and not __fish_seen_subcommand_from run' -a 'run doctor env'
