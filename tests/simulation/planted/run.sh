#!/usr/bin/env bash
# Plants each mistake of this folder into a copy of its source, links the simulation with it and demands that the simulation
# reports a violation. This is what "no violation in N seeds" is worth.
#
# usage: run.sh BUILD_DIRECTORY [NAME...]     SEEDS_MAX=20000 LONG_SEEDS_MAX=8000 JOBS=2 run.sh build/release
#
# A mistake is a file NAME.planted: why it is unsafe, then for each source "file PATH" and one or more replacements between
# <<<< ==== >>>>, whose old text must be in the source exactly once. Nothing in the source tree is touched.
set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_root=$(cd "$here/../../.." && pwd)
build=$(cd "$1" && pwd)
shift
seeds_max=${SEEDS_MAX:-20000}
long_seeds_max=${LONG_SEEDS_MAX:-8000}
seconds_max=${SECONDS_MAX:-400}
work=$build/planted
mkdir -p "$work"
cd "$build" || exit 2

# The command that ninja would run for a target.
command_for() { ninja -t commands "$1" | tail -n 1; }

# replace SOURCE_FILE OLD NEW: exactly one occurrence, or nothing.
replace() {
    local text rest
    text=$(cat "$1"; printf x)
    text=${text%x}
    rest=${text#*"$2"}
    if [ "$rest" = "$text" ]; then echo "its old text is not in the source: ${2%%$'\n'*}"; return 1; fi
    if [ "${rest#*"$2"}" != "$rest" ]; then echo "its old text is in the source more than once: ${2%%$'\n'*}"; return 1; fi
    printf '%s' "${text%%"$2"*}$3$rest" > "$1"
}

# Reads a .planted file, writes the changed sources below $1 and prints their paths below the source root.
plant() {
    local directory=$1 line path='' old='' new='' part=why files=()
    while IFS= read -r line || [ -n "$line" ]; do
        case $part:$line in
            why:file\ * | between:file\ *)
                path=${line#file }
                files+=("$path")
                mkdir -p "$directory/$(dirname "$path")"
                cp "$source_root/$path" "$directory/$path" || return 1
                part=between ;;
            between:'<<<<') part=old old='' new='' ;;
            old:'====') part=new ;;
            new:'>>>>') replace "$directory/$path" "${old%$'\n'}" "${new%$'\n'}" || return 1; part=between ;;
            old:*) old+=$line$'\n' ;;
            new:*) new+=$line$'\n' ;;
        esac
    done < "$2"
    if [ $part != between ]; then echo "it does not end with >>>>"; return 1; fi
    printf '%s\n' "${files[@]}" > "$directory/files"
}

# try NAME: one line of the table; false when the mistake was not found.
try() {
    local name=$1 directory=$work/$1 problem objects='' path target output status
    rm -rf "$directory"
    mkdir -p "$directory"
    if ! problem=$(plant "$directory" "$here/$name.planted"); then echo "$name: cannot be planted: $problem"; return 1; fi
    while IFS= read -r path; do
        local library=${path#src/} object=$directory/${path//\//_}.o command
        target=src/${library%%/*}/CMakeFiles/${library%%/*}.dir/${library#*/}.o
        command=$(command_for "$target")
        command=${command//" -o $target"/" -o $object -Wno-error"}
        command=${command//"$source_root/$path"/"$directory/$path"}
        command=${command//"$target.d"/"$object.d"}
        if ! problem=$(eval "$command" 2>&1); then echo "$name: $path does not compile: $problem"; return 1; fi
        objects+=" $object"
    done < "$directory/files"
    target=tests/simulation/pgkeel-simulation
    local link
    link=$(command_for "$target")
    link=${link//" -o $target"/"$objects -o $directory/simulation"}
    if ! problem=$(eval "$link" 2>&1); then echo "$name: it does not link: $problem"; return 1; fi
    local life
    for life in short long; do
        local options=(--seeds 1 "$seeds_max")
        [ $life = short ] || options=(--long --seeds 1 "$long_seeds_max")
        output=$(timeout "$seconds_max" "$directory/simulation" --threads 1 "${options[@]}" 2> /dev/null)
        status=$?
        if [ $status = 1 ] && [[ $output =~ seed\ ([0-9]+):\ ([^$'\n']*) ]]; then
            printf '%-46s %5d %-5s  %s\n' "$name" "${BASH_REMATCH[1]}" $life "${BASH_REMATCH[2]}"
            rm -rf "$directory"
            return 0
        fi
    done
    printf '%-46s %5s %-5s  NOT FOUND in %d short and %d long lives (exit status %d)\n' "$name" - - "$seeds_max" "$long_seeds_max" $status
    return 1
}

if [ $# -eq 0 ]; then
    for file in "$here"/*.planted; do set -- "$@" "$(basename "$file" .planted)"; done
fi
export -f try plant replace command_for
export here source_root work seeds_max long_seeds_max seconds_max
printf '%-46s %5s %-5s  %s\n' "planted mistake" seeds lives "found as"
table=$work/table
printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -I '{}' bash -c 'try {}' | tee "$table"
status=$?
# A violation is the mistake's doing only if the sources without it have none in the same seeds.
for life in short long; do
    most=$(awk -v life=$life '$2 ~ /^[0-9]+$/ && $3 == life && $2 > most { most = $2 } END { print most + 0 }' "$table")
    options=(--seeds 1 "$most")
    [ $life = short ] || options=(--long "${options[@]}")
    if [ "$most" -gt 0 ] && ! tests/simulation/pgkeel-simulation "${options[@]}" 2> /dev/null | tail -n 3; then
        echo "the sources without a mistake have a violation too"
        status=1
    fi
done
exit $status
