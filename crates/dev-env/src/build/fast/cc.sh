#!/bin/sh
# rustc starts this in the place of cc to link the service. Each part of it becomes a library, which the service loads at its start.
# All that the other crates hold is linked and exported, whether it is called today or not: a part may call it tomorrow.
here=${0%/*}
into=$here/linked/$(date +%s)-$$
newline='
'

separately() {
    # What a file of arguments would have to say in another way.
    case $into$* in *[\"\\]*) return 1 ;; esac
    names= making= failed=
    parts=$newline$(cat "$here/parts")$newline
    mkdir -p "$into" || return
    for argument do
        case $argument in -m64 | -B* | -fuse-ld=*) printf '%s\n' "$argument" ;; esac
    done >"$here/linker"
    # In a file, as a shell copies its arguments whenever it is given one more, and there are hundreds.
    instead "$@" >"$here/arguments" || failed=1
    for library in $making; do wait "$library" || failed=1; done
    [ -z "$failed" ] || return
    # What is in LD_LIBRARY_PATH comes before this.
    cc "@$here/arguments" -Wl,--enable-new-dtags -Xlinker -rpath -Xlinker "$into" || return
    # What is linked now is what an edit is compared with.
    for part in $names; do
        [ ! -d "$here/$part.sources.new" ] || { rm -rf "$here/$part.sources" && mv "$here/$part.sources.new" "$here/$part.sources"; } || return
    done
    printf '%s\n%s' "$into" "$names" >"$here/separate"
}

# Says what the linker is told in the place of this, and begins to make the libraries.
instead() {
    for argument do
        case $argument in
        */lib*.rlib)
            name=${argument##*/lib}
            name=${name%%-*}
            case $parts in
            *"$newline$name$newline"*)
                "$here/library" "$argument" "$into" >&2 &
                making="$making $!"
                names=$names$name$newline
                tell -Wl,-Bdynamic -Wl,--no-as-needed "$into/lib$name.so" -Wl,--as-needed -Wl,-Bstatic
                ;;
            *) tell -Wl,--whole-archive "$argument" -Wl,--no-whole-archive ;;
            esac
            ;;
        -Wl,--gc-sections) ;;
        *) tell "$argument" ;;
        esac
    done
}

tell() {
    printf '"%s"\n' "$@"
}

(separately "$@") 2>"$here/link.log" && exit
# As ever, in one piece: that works, or says why it does not.
rm -rf "$into"
exec cc "$@"
