#!/bin/sh
# Word count with the tools of the shell: peer_gnu.sh wordcount FORMULATION INPUT OUTPUT THREADS, or --version.
#   sort: every word on a line of its own, sorted, counted      awk: one awk a thread, each with a table of its part
set -eu
export LC_ALL=C
count='{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) printf "%s\t%d\n", w, n[w] }'
merge='{ n[$1] += $2 } END { for (w in n) printf "%s\t%d\n", w, n[w] }'

if [ "$1" = --version ]; then
    awk=$(readlink -f "$(command -v awk)")
    echo "$(sort --version | head -n 1), awk is $(basename "$awk")"
    exit
fi
formulation=$2 input=$3 output=$4 threads=$5
case $formulation in
sort)
    tr -s '[:space:]' '\n' <"$input" | sort --parallel="$threads" -S 30% | uniq -c |
        awk 'NF == 2 { printf "%s\t%d\n", $2, $1 }' >"$output"
    ;;
awk)
    parts=
    for part in $(seq "$threads"); do
        split -n "l/$part/$threads" "$input" | awk "$count" >"$output.$part" &
        parts="$parts $output.$part"
    done
    wait
    awk -F '\t' "$merge" $parts >"$output"
    rm $parts
    ;;
*)
    echo "peer_gnu.sh: no formulation $formulation" >&2
    exit 2
    ;;
esac
