#!/bin/sh
# nvidia-smi of a host without GPUs: answers from /etc/fleet/gpus (index|name|memory.total|uuid|driver_version), as driver 550 prints it.
query='' noheader='' nounits='' mode=table
for word in "$@"; do
  case "$word" in
    --query-gpu=*) mode=query query="${word#*=}" ;;
    --format=*)
      case "$word" in *noheader*) noheader=1 ;; esac
      case "$word" in *nounits*) nounits=1 ;; esac
      ;;
    -L | --list-gpus) mode=list ;;
  esac
done
exec awk -F'|' -v mode="$mode" -v query="$query" -v noheader="$noheader" -v nounits="$nounits" '
  function value(field) {
    if (field == "index") return $1
    if (field == "name" || field == "gpu_name") return $2
    if (field == "memory.total") return $3 (nounits ? "" : " MiB")
    if (field == "memory.used" || field == "utilization.gpu") return "0" (nounits ? "" : field == "memory.used" ? " MiB" : " %")
    if (field == "uuid" || field == "gpu_uuid") return $4
    if (field == "driver_version") return $5
    bad = 1
    printf "Field \"%s\" is not a valid field to query.\n", field
    exit 2
  }
  BEGIN {
    count = split(query, fields, /, */)
    if (mode == "query" && !noheader) print query
    if (mode == "table") print "| GPU  Name                     | Memory-Usage         | GPU-Util |"
  }
  mode == "list" { printf "GPU %s: %s (UUID: %s)\n", $1, $2, $4 }
  mode == "table" { printf "| %3s  %-24s | %6dMiB / %6dMiB |       0%% |\n", $1, $2, 0, $3 }
  mode == "query" {
    line = ""
    for (i = 1; i <= count; i++) line = line (i > 1 ? ", " : "") value(fields[i])
    print line
  }
' /etc/fleet/gpus
