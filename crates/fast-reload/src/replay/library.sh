#!/bin/sh
# library <rlib> <folder>: links a shared library of all that was compiled of a crate. The program that loads it has what it calls.
here=${0%/*} rlib=$1 into=$2
stem=${rlib##*/lib}
stem=${stem%.rlib}
set --
while IFS= read -r flag; do set -- "$@" "$flag"; done <"$here/linker"
exec cc "$@" -shared -nostdlib -o "$into/lib$stem.so" -Wl,-soname,"lib$stem.so" -Wl,-z,now -Wl,--whole-archive "$rlib" -Wl,--no-whole-archive
