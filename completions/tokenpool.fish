# fish completion for tokenpool(1)

# The words of CMD, as far as they are typed; empty while the options of run or exec are
# not over.
function __tokenpool_cmd
    set -l words (commandline -opc) (commandline -ct)
    set -e words[1]
    contains -- "$words[1]" run exec; or return 1
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case -j --jobs --track --shims --listen --limit --report --slots --type --target --memory --priority --timeout --alone-after --nice --standstill
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
    test "$words[2]" = "$argv[1]"; or return 1
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
complete -c tokenpool -n __fish_use_subcommand -a exec -d 'Run one command on slots of the pool'
complete -c tokenpool -n __fish_use_subcommand -a status -d 'Who holds slots, and who waits'
complete -c tokenpool -n __fish_use_subcommand -a set -d 'Change the number of slots, or limits'
complete -c tokenpool -n __fish_use_subcommand -a serve -d 'An arbiter that stands alone'
complete -c tokenpool -n __fish_use_subcommand -a pause -d 'Grant nothing new'
complete -c tokenpool -n __fish_use_subcommand -a resume -d 'Grant again'
complete -c tokenpool -n __fish_use_subcommand -a doctor -d 'What this machine and its tools can do'
complete -c tokenpool -n __fish_use_subcommand -a env -d 'The variables of the surrounding pool'
complete -c tokenpool -n __fish_use_subcommand -a help -d 'Explain a command'
complete -c tokenpool -n __fish_use_subcommand -l version -d 'Show the version'
complete -c tokenpool -n __fish_use_subcommand -s h -l help -d 'Show the help'

complete -c tokenpool -n '__tokenpool_in_options run' -s j -l jobs -x -a 'auto cpus cpus-1 50%' -d 'Slots of the pool'
complete -c tokenpool -n '__tokenpool_in_options run' -l track -x -a 'auto exact infer' -d 'How holders are known'
complete -c tokenpool -n '__tokenpool_in_options run' -l shims -x -a 'on off' -d 'Adjust the flags of the tools'
complete -c tokenpool -n '__tokenpool_in_options run' -l standstill -x -a 'off' -d 'Seconds until one slot more is made'
complete -c tokenpool -n '__tokenpool_in_options run' -l wrap -d 'Each call of a compiler is a job'
complete -c tokenpool -n '__tokenpool_in_options run' -l enforce -d 'Freeze the youngest jobs while slots are too few'
complete -c tokenpool -n '__tokenpool_in_options run' -l die-with-parent -d 'End the build with the process that started it'
complete -c tokenpool -n '__tokenpool_in_options run' -l end-leftovers -d 'End what CMD leaves running'
complete -c tokenpool -n '__tokenpool_in_options run' -l limit -x -a 'link= compile=' -d 'At most so many jobs of a type'
complete -c tokenpool -n '__tokenpool_in_options run' -l nice -x -a '10 19' -d 'The least niceness of the build'
complete -c tokenpool -n '__tokenpool_in_options run' -l listen -x -a 'tcp:127.0.0.1:0' -d 'Serve the protocol on TCP, too'
complete -c tokenpool -n '__tokenpool_in_options run' -l allow-remote -d 'Also an address that is not loopback'
complete -c tokenpool -n '__tokenpool_in_options run' -l report -r -F -d 'Write a report'
complete -c tokenpool -n '__tokenpool_in_options run' -s q -d 'No closing line'

complete -c tokenpool -n '__tokenpool_in_options exec' -l slots -x -d 'Slots that the command uses'
complete -c tokenpool -n '__tokenpool_in_options exec' -l type -x -a 'compile link test' -d 'Of the job'
complete -c tokenpool -n '__tokenpool_in_options exec' -l target -r -F -d 'What the job makes'
complete -c tokenpool -n '__tokenpool_in_options exec' -l memory -x -d 'What the command needs'
complete -c tokenpool -n '__tokenpool_in_options exec' -l priority -x -d 'Higher comes first'
complete -c tokenpool -n '__tokenpool_in_options exec' -l alone-after -x -d 'Run outside of the pool when an arbiter has not answered so long'
complete -c tokenpool -n '__tokenpool_in_options exec' -l timeout -x -d 'Seconds to wait for slots'
complete -c tokenpool -n '__tokenpool_in_options exec' -l nice -x -a '10 19' -d 'The least niceness of the command'
complete -c tokenpool -n '__tokenpool_in_options exec' -l opam -d 'Extended jobserver of opam'
complete -c tokenpool -n '__tokenpool_in_options exec' -s q -d 'Say nothing'
complete -c tokenpool -n '__fish_seen_subcommand_from run exec' -a '(__tokenpool_complete_cmd)'

complete -c tokenpool -n '__fish_seen_subcommand_from doctor env status; and not __fish_seen_subcommand_from run exec' -l json -d 'Print JSON'
complete -c tokenpool -n '__fish_seen_subcommand_from doctor; and not __fish_seen_subcommand_from run exec' -s v -l verbose -d 'Print all details'
complete -c tokenpool -n '__fish_seen_subcommand_from status; and not __fish_seen_subcommand_from run exec' -l watch -d 'Go on until the arbiter ends'
complete -c tokenpool -n '__fish_seen_subcommand_from status; and not __fish_seen_subcommand_from run exec' -l all -d 'List all pools'
complete -c tokenpool -n '__fish_seen_subcommand_from status set pause resume env; and not __fish_seen_subcommand_from run exec' -l run -x -d 'The run: number, pid or folder'
complete -c tokenpool -n '__fish_seen_subcommand_from set; and not __fish_seen_subcommand_from run exec' -a 'jobs= limit.link= limit.compile= limit.test= lease.'
complete -c tokenpool -n '__fish_seen_subcommand_from status set pause resume env; and not __fish_seen_subcommand_from run exec' -l server -r -F -d 'The arbiter'
complete -c tokenpool -n '__fish_seen_subcommand_from status set pause resume env; and not __fish_seen_subcommand_from run exec' -l cookie-file -r -F -d 'Where its cookie is'
complete -c tokenpool -n '__fish_seen_subcommand_from help; and not __fish_seen_subcommand_from run exec' -a 'run serve exec status set pause resume doctor env'

set -l in_serve '__fish_seen_subcommand_from serve; and not __fish_seen_subcommand_from run exec'
complete -c tokenpool -n $in_serve -s j -l jobs -x -a 'auto cpus cpus-1 50%' -d 'Slots of the pool'
complete -c tokenpool -n $in_serve -l listen -x -a 'tcp:127.0.0.1:0' -d 'Where clients connect'
complete -c tokenpool -n $in_serve -l limit -x -a 'link= compile=' -d 'At most so many jobs of a type'
complete -c tokenpool -n $in_serve -l cookie-file -r -F -d 'Where its cookie is'
complete -c tokenpool -n $in_serve -l allow-remote -d 'Also an address that is not loopback'
complete -c tokenpool -n $in_serve -l standstill -x -a 'off' -d 'Seconds until one slot more is made'
complete -c tokenpool -n $in_serve -l config -r -F -d 'A TOML file'
complete -c tokenpool -n $in_serve -s q -d 'Say nothing'

# All of its words are the command.
complete -c tokenpool-exec -a '(__fish_complete_subcommand)'
