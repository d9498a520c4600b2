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

// writeLog is what the writers of a run have seen together.
type writeLog struct {
	mutex    sync.Mutex
	written  int
	failures []string
	last     time.Time
	longest  time.Duration
}

func (l *writeLog) add(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if err != nil {
		l.failures = append(l.failures, err.Error())
		return
	}
	now := time.Now()
	if l.written > 0 {
		l.longest = max(l.longest, now.Sub(l.last))
	}
	l.last = now
	l.written++
}

// steadyWrites puts one key after the other with several writers at the same time, each put once, until standard input
// ends; meanwhile it watches them and keeps a lease alive. Puts have 8 s each and are repeated by the client library alone.
func steadyWrites(ctx context.Context, run *run) (any, error) {
	writers, err := run.number("writers", 8)
	if err != nil {
		return nil, err
	}
	client, err := run.client()
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
	log := &writeLog{}
	var group sync.WaitGroup
	for writer := range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; stopped.Err() == nil; i++ {
				attempt, cancel := context.WithTimeout(ctx, 8*time.Second)
				_, err := client.Put(attempt, fmt.Sprintf("%s%d/%06d", steadyPrefix, writer, i), "value")
				cancel()
				log.add(err)
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
