#!/bin/sh
# rustc starts this in the place of cc to link the service. Each feature becomes a library, which the service loads at its start.
# All that the other crates hold is linked and exported, whether it is called today or not: a feature may call it tomorrow.
here=${0%/*}
into=$here/linked/$(date +%s)-$$

separately() {
    names=
    mkdir -p "$into" || return
    for argument do
        case $argument in -m64 | -B* | -fuse-ld=*) printf '%s\n' "$argument" ;; esac
    done >"$here/linker"
    for argument do
        shift
        case $argument in
        */lib*.rlib)
            name=${argument##*/lib}
            name=${name%%-*}
            if grep -qsx "$name" "$here/features"; then
                "$here/library" "$argument" "$into" || return
                names="$names$name
"
                set -- "$@" -Wl,-Bdynamic -Wl,--no-as-needed "$into/lib$name.so" -Wl,--as-needed -Wl,-Bstatic
            else
                set -- "$@" -Wl,--whole-archive "$argument" -Wl,--no-whole-archive
            fi
            ;;
        -Wl,--gc-sections) ;;
        *) set -- "$@" "$argument" ;;
        esac
    done
    # What is in LD_LIBRARY_PATH comes before this.
    cc "$@" -Wl,--enable-new-dtags -Xlinker -rpath -Xlinker "$into" || return
    printf '%s\n%s' "$into" "$names" >"$here/separate"
}

(separately "$@") 2>"$here/link.log" && exit
# As ever, in one piece: that works, or says why it does not.
rm -rf "$into"
exec cc "$@"
