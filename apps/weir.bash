# SPDX-License-Identifier: BSD-2-Clause
# Completion of weir for bash: commands, options and their values, files.
# shellcheck shell=bash disable=SC2207

_weir()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} opts
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W 'flows streams events http --help --version' -- "$cur"))
        return
    fi
    case $prev in
    --csum) COMPREPLY=($(compgen -W 'auto on off' -- "$cur")) && return ;;
    --overlap) COMPREPLY=($(compgen -W 'first last' -- "$cur")) && return ;;
    --cores | --batch | --epoch | --timeout) return ;;
    -o) COMPREPLY=($(compgen -d -- "$cur")) && return ;;
    esac
    opts='-r -w --json --strict --no-midstream --csum --timeout --cores --batch --epoch --help'
    [ "${COMP_WORDS[1]}" = flows ] || opts+=' --overlap'
    [ "${COMP_WORDS[1]}" = streams ] && opts+=' -o --zero-fill'
    case $cur in
    -*) COMPREPLY=($(compgen -W "$opts" -- "$cur")) ;;
    *) COMPREPLY=($(compgen -f -- "$cur")) ;;
    esac
}
complete -o filenames -F _weir weir
