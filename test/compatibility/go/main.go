// Command compatibility talks to a cluster through etcd's own Go client, one scenario per call. What it saw goes to
// standard output as lines of JSON, for the TypeScript tests to assert on and to compare between servers:
//
//	compatibility SCENARIO -endpoints=URL,URL [-user NAME:PASSWORD] [-cacert F -cert F -key F] [-set NAME=VALUE]...
//
// `{"event": ...}` reports progress; the last line is `{"result": ...}` or `{"error": ...}`. Results hold nothing that
// differs between two correct servers: no ids, times or sizes of a database.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

type scenario func(ctx context.Context, run *run) (any, error)

var scenarios = map[string]scenario{
	"auth":         users,
	"failover":     failover,
	"kv":           keyValues,
	"largeReads":   largeReads,
	"lease":        leases,
	"maintenance":  maintenance,
	"move-leader":  moveLeader,
	"range-stream": rangeStreams,
	"recipes":      recipes,
	"snapshot":     saveSnapshot,
	"steadyWrites": steadyWrites,
	"watch":        watches,
	"wrappers":     wrappers,
}

const scenarioLimit = 5 * time.Minute

func main() {
	if len(os.Args) < 2 || scenarios[os.Args[1]] == nil {
		names := slices.Sorted(maps.Keys(scenarios))
		fmt.Fprintf(os.Stderr, "usage: compatibility %s -endpoints=URL,...\n", strings.Join(names, "|"))
		os.Exit(2)
	}
	run, err := newRun(os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scenarioLimit)
	defer cancel()
	result, err := scenarios[os.Args[1]](ctx, run)
	run.close()
	if err != nil {
		printLine(map[string]any{"error": err.Error()})
		os.Exit(1)
	}
	printLine(map[string]any{"result": result})
}

func printLine(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
