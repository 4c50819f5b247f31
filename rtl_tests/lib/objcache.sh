#!/bin/sh
# Compiler launcher for Verilator's make: keeps the objects of the Verilator runtime (the same in
# every bench, and most of a small bench's compile time) in $OBJCACHE_DIR. Usage: objcache.sh c++ ...
out=
source=
previous=
for argument; do
  [ "$previous" = -o ] && out=$argument
  previous=$argument
  source=$argument
done
case "$source" in
  */include/verilated*.cpp) ;;
  *) exec "$@" ;;
esac
set -- "$@" -O1 # once for all benches, whose own code runs few cycles and is compiled without
key=$( (printf '%s\n' "$@" && cat "$source" && "$1" --version) | sha256sum | cut -d' ' -f1)
kept=$OBJCACHE_DIR/$key.o
if [ ! -f "$kept" ]; then
  mkdir -p "$OBJCACHE_DIR" && "$@" && cp "$out" "$kept.$$" && mv "$kept.$$" "$kept"
  exit
fi
cp "$kept" "$out"
