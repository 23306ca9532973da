#!/bin/sh
# cargo starts this in the place of rustc for the crates of the workspace, with rustc and its arguments. What it is told to do for a
# part of the service is written down, to be done again after an edit; the service is linked so that its parts can be replaced.
here=${0%/*}
[ "$CARGO_CRATE_NAME" = emotionviz ] && rm -f "$here/separate"
for argument do
    case $argument in
    # Somebody has chosen a linker, or says more to it (`-C link-arg=-fuse-ld=…`, `-Zlinker-features=…`), perhaps in a file.
    link* | -[CZ]link* | --codegen=link* | pre?link* | -Zpre?link* | default?linker* | -Cdefault?linker* | @*) exec "$@" ;;
    esac
done
if [ "$CARGO_CRATE_NAME" = emotionviz ]; then
    exec "$@" -C linker="$here/cc" -C link-arg=-Wl,--export-dynamic
fi
record=$here/$CARGO_CRATE_NAME
if [ -n "$CARGO_CRATE_NAME" ] && grep -qsx "$CARGO_CRATE_NAME" "$here/parts"; then
    env -u CARGO_MAKEFLAGS -u MAKEFLAGS -u _ -0 >"$record.environment.new"
    printf '%s\0' "$@" >"$record.arguments.new"
    for argument do
        case $argument in */lib.rs) rm -rf "$record.sources.new" && cp -R "${argument%/*}" "$record.sources.new" ;; esac
    done
    # What is as it was stays as old as it was.
    if ! cmp -s "$record.environment.new" "$record.environment" || ! cmp -s "$record.arguments.new" "$record.arguments"; then
        mv "$record.environment.new" "$record.environment"
        mv "$record.arguments.new" "$record.arguments"
    fi
fi
exec "$@"
