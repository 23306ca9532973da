#!/bin/sh
# rustc starts this in place of cc to link the program. Each recorded crate becomes a shared library, which the program loads when it
# starts. All that the other crates hold is linked and exported, used or not: a replaced crate may call it.
here=${0%/*}
into=$here/linked/$(date +%s)-$$
newline='
'

separately() {
    # These would need escapes in a file of arguments.
    case $into$* in *[\"\\]*) return 1 ;; esac
    stems= making= failed=
    mkdir -p "$into" || return
    for argument do
        case $argument in -m64 | -B* | -fuse-ld=*) printf '%s\n' "$argument" ;; esac
    done >"$here/linker"
    # In a file: a shell copies its arguments whenever one is appended, and there are hundreds.
    replaceable "$@" >"$here/arguments" || failed=1
    for library in $making; do wait "$library" || failed=1; done
    [ -z "$failed" ] || return
    # A folder in LD_LIBRARY_PATH takes precedence over this one.
    cc "@$here/arguments" -Wl,--enable-new-dtags -Xlinker -rpath -Xlinker "$into" || return
    # Edits are compared with the sources that are linked now.
    for stem in $stems; do
        [ ! -d "$here/$stem.sources.new" ] || { rm -rf "$here/$stem.sources" && mv "$here/$stem.sources.new" "$here/$stem.sources"; } || return
    done
    printf '%s\n%s' "$into" "$stems" >"$here/separate"
}

# Prints the linker's arguments, and starts to link the libraries.
replaceable() {
    for argument do
        case $argument in
        */lib*.rlib)
            stem=${argument##*/lib}
            stem=${stem%.rlib}
            if [ -f "$here/$stem.arguments" ]; then
                "$here/library" "$argument" "$into" >&2 &
                making="$making $!"
                stems=$stems$stem$newline
                quote -Wl,-Bdynamic -Wl,--no-as-needed "$into/lib$stem.so" -Wl,--as-needed -Wl,-Bstatic
            else
                quote -Wl,--whole-archive "$argument" -Wl,--no-whole-archive
            fi
            ;;
        -Wl,--gc-sections) ;;
        *) quote "$argument" ;;
        esac
    done
}

quote() {
    printf '"%s"\n' "$@"
}

(separately "$@") 2>"$here/link.log" && exit
# In one piece, as without this script: that works, or its error says why.
rm -rf "$into"
exec cc "$@"
