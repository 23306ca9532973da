#!/bin/sh
# cargo starts this in place of rustc for the crates of the workspace, with rustc and its arguments. The command of each library crate
# is recorded, so that it can be replayed after an edit. The program is linked so that these crates can be replaced.
here=${0%/*}
read -r program <"$here/program"
# A library of the same package may have the same crate name. Only a program has this variable.
[ "$CARGO_BIN_NAME" = "$program" ] && rm -f "$here/separate"
for argument do
    case $argument in
    # The user has chosen a linker, or its flags (`-C link-arg=-fuse-ld=…`, `-Zlinker-features=…`), perhaps in a file.
    link* | -[CZ]link* | --codegen=link* | pre?link* | -Zpre?link* | default?linker* | -Cdefault?linker* | @*) exec "$@" ;;
    esac
done
if [ "$CARGO_BIN_NAME" = "$program" ]; then
    exec "$@" -C linker="$here/cc" -C link-arg=-Wl,--export-dynamic
fi
extra= kind= source= before=
for argument do
    case $before in --crate-type) kind=$kind$argument ;; esac
    case $argument in
    extra-filename=*) extra=${argument#extra-filename=} ;;
    src/lib.rs | */src/lib.rs) source=${argument%/*} ;;
    esac
    before=$argument
done
case $kind in lib | rlib) ;; *) source= ;; esac
if [ -n "$CARGO_CRATE_NAME" ] && [ -n "$extra" ] && [ -n "$source" ]; then
    record=$here/$CARGO_CRATE_NAME$extra
    env -u CARGO_MAKEFLAGS -u MAKEFLAGS -u _ -0 >"$record.environment.new"
    printf '%s\0' "$@" >"$record.arguments.new"
    rm -rf "$record.sources.new" && cp -R "$source" "$record.sources.new"
    # An unchanged record keeps its modification time.
    if ! cmp -s "$record.environment.new" "$record.environment" || ! cmp -s "$record.arguments.new" "$record.arguments"; then
        mv "$record.environment.new" "$record.environment"
        mv "$record.arguments.new" "$record.arguments"
    fi
fi
exec "$@"
