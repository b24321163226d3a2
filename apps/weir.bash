# SPDX-License-Identifier: BSD-2-Clause
# Completion of weir for bash: commands, options and their values, files.
# shellcheck shell=bash disable=SC2207

_weir()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} opts
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W 'flows streams events http abacus bench firewall nat rewrite --help --version' -- "$cur"))
        return
    fi
    case $prev in
    --csum) COMPREPLY=($(compgen -W 'auto on off' -- "$cur")) && return ;;
    --overlap) COMPREPLY=($(compgen -W 'first last bsd bsd-right linux old-linux windows solaris' -- "$cur")) && return ;;
    --by) COMPREPLY=($(compgen -W 'address' -- "$cur")) && return ;;
    --sample) COMPREPLY=($(compgen -W '1/4 1/16 1/64' -- "$cur")) && return ;;
    --default) COMPREPLY=($(compgen -W 'ACCEPT DROP REJECT' -- "$cur")) && return ;;
    --other) COMPREPLY=($(compgen -W 'ACCEPT DROP' -- "$cur")) && return ;;
    --rules) COMPREPLY=($(compgen -f -- "$cur")) && return ;;
    --prefixes) COMPREPLY=($(compgen -f -- "$cur")) && return ;;
    --app) COMPREPLY=($(compgen -W 'none count search rexmit events=' -- "$cur")) && return ;;
    --find | --with | --loops | --rounds | --cores | --batch | --epoch | --timeout | --memory | --interval | --every | --duration | --to | --from | --rest | --transitory | --seed | --address | --route) return ;;
    -i | --out) COMPREPLY=($(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$cur")) && return ;;
    --user) COMPREPLY=($(compgen -u -- "$cur")) && return ;;
    -o) COMPREPLY=($(compgen -d -- "$cur")) && return ;;
    esac
    opts='-r --json --strict --no-midstream --csum --cores --help'
    [ "${COMP_WORDS[1]}" = bench ] || opts+=' -w -i --out --user --duration --fail-open --timeout --memory --batch --epoch'
    case ${COMP_WORDS[1]} in
    flows) opts+=' --every' ;;
    http) opts+=' --overlap --every' ;;
    bench) opts+=' --app --loops --rounds' ;;
    rewrite) opts+=' --find --with --raw --pad' ;;
    firewall) opts='-r -w -i --out --user --duration --fail-open --json --cores --timeout --memory --rules --check --default --other --strict-start --every --help' ;;
    abacus) opts+=' --by --prefixes --all --charge-rexmit --sample --interval --every' ;;
    nat) opts+=' --to --from --rest --transitory --pass-other --seed --every --address --route' ;;
    *) opts+=' --overlap' ;;
    esac
    [ "${COMP_WORDS[1]}" = streams ] && opts+=' -o --zero-fill'
    case $cur in
    -*) COMPREPLY=($(compgen -W "$opts" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
    esac
}
complete -o filenames -F _weir weir
