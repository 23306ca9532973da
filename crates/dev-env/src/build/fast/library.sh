#!/bin/sh
# library <rlib> <folder>: a library of all that was compiled of a crate. What it calls is in the program that loads it.
here=${0%/*} rlib=$1 into=$2
name=${rlib##*/lib}
name=${name%%-*}
set --
while IFS= read -r flag; do set -- "$@" "$flag"; done <"$here/linker"
exec cc "$@" -shared -nostdlib -o "$into/lib$name.so" -Wl,-soname,"lib$name.so" -Wl,-z,now -Wl,--whole-archive "$rlib" -Wl,--no-whole-archive
