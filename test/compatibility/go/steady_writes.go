package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const steadyPrefix = "/steady/"

// The shortest gap that is reported: shorter ones do not indicate a problem of the cluster.
const gapMin = 20 * time.Millisecond

// writeLog is what the writers of a run have seen together.
type writeLog struct {
	mutex    sync.Mutex
	written  int
	failures []string
	longest  time.Duration
	onGap    func(name string, from, until time.Time)
}

// writer writes one key after the other, and measures the time from one acknowledged write to the next.
type writer struct {
	name string
	log  *writeLog
	last time.Time
}

func (w *writer) add(err error) {
	w.log.mutex.Lock()
	defer w.log.mutex.Unlock()
	if err != nil {
		w.log.failures = append(w.log.failures, err.Error())
		return
	}
	now := time.Now()
	if gap := now.Sub(w.last); !w.last.IsZero() {
		w.log.longest = max(w.log.longest, gap)
		if gap >= gapMin {
			w.log.onGap(w.name, w.last, now)
		}
	}
	w.last = now
	w.log.written++
}

// steadyWrites puts one key after the other with several writers at the same time, each put once, until standard input
// ends; meanwhile it watches them and keeps a lease alive. Puts have a timeout of 8 s each and are retried by the
// client library alone. `writers` share a connection; `kept` have one each, and `fresh` a new one for every write, as
// etcdctl has.
func steadyWrites(ctx context.Context, run *run) (any, error) {
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	clients, err := steadyClients(run, client)
	if err != nil {
		return nil, err
	}
	lease, err := client.Grant(ctx, 5)
	if err != nil {
		return nil, err
	}
	renewals, err := client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return nil, err
	}
	var leaseEnded atomic.Bool
	go func() {
		for range renewals {
		}
		leaseEnded.Store(true)
	}()
	watched, stopWatching := watchSteady(ctx, client)
	defer stopWatching()

	stopped, stop := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	log := &writeLog{onGap: func(name string, from, until time.Time) {
		run.report(fmt.Sprintf("gap %s %d %d", name, from.UnixMilli(), until.UnixMilli()))
	}}
	var group sync.WaitGroup
	for number, client := range clients {
		group.Add(1)
		go func() {
			defer group.Done()
			writer := writer{name: fmt.Sprintf("%s-%d", client.kind, number), log: log}
			for i := 0; stopped.Err() == nil; i++ {
				attempt, cancel := context.WithTimeout(ctx, 8*time.Second)
				writer.add(client.put(attempt, fmt.Sprintf("%s%d/%06d", steadyPrefix, number, i)))
				cancel()
				time.Sleep(2 * time.Millisecond)
			}
		}()
	}
	run.report("writing")
	group.Wait()
	held := !leaseEnded.Load()
	if err := awaitCount(ctx, watched, log.written); err != nil && len(log.failures) == 0 {
		return nil, err
	}
	return map[string]any{
		"written":      log.written,
		"failures":     log.failures,
		"longestGapMs": log.longest.Milliseconds(),
		"leaseHeld":    held,
	}, nil
}

// steadyClient is the client that a writer uses.
type steadyClient struct {
	kind string
	put  func(context.Context, string) error
}

func steadyClients(run *run, shared *clientv3.Client) ([]steadyClient, error) {
	writers, err := run.number("writers", 8)
	if err != nil {
		return nil, err
	}
	kept, err := run.number("kept", 0)
	if err != nil {
		return nil, err
	}
	fresh, err := run.number("fresh", 0)
	if err != nil {
		return nil, err
	}
	var clients []steadyClient
	for range writers {
		clients = append(clients, clientOf("shared", shared))
	}
	for range kept {
		client, err := run.client()
		if err != nil {
			return nil, err
		}
		clients = append(clients, clientOf("kept", client))
	}
	for range fresh {
		clients = append(clients, steadyClient{"fresh", func(ctx context.Context, key string) error {
			name, password := run.credentials()
			config, err := run.config(name, password, run.endpoints)
			if err != nil {
				return err
			}
			client, err := clientv3.New(config)
			if err != nil {
				return err
			}
			defer client.Close()
			return putWith(ctx, client, key)
		}})
	}
	return clients, nil
}

func clientOf(kind string, client *clientv3.Client) steadyClient {
	return steadyClient{kind, func(ctx context.Context, key string) error { return putWith(ctx, client, key) }}
}

func putWith(ctx context.Context, client *clientv3.Client, key string) error {
	_, err := client.Put(ctx, key, "value")
	return err
}

func watchSteady(ctx context.Context, client *clientv3.Client) (*atomic.Int64, context.CancelFunc) {
	watching, stop := context.WithCancel(ctx)
	var seen atomic.Int64
	events := client.Watch(watching, steadyPrefix, clientv3.WithPrefix(), clientv3.WithRev(1))
	go func() {
		for response := range events {
			seen.Add(int64(len(response.Events)))
		}
	}()
	return &seen, stop
}

func awaitCount(ctx context.Context, seen *atomic.Int64, wanted int) error {
	deadline := time.Now().Add(10 * time.Second)
	for seen.Load() != int64(wanted) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("the watch has seen %d of %d writes", seen.Load(), wanted)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}
