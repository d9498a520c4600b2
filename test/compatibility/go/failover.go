package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const (
	failoverWriters = 4
	// One attempt of a write: after this the client tries another endpoint.
	attemptLimit = 2 * time.Second
)

// failover writes, watches, renews a lease and holds a lock until standard input ends, while the test stops members.
// The watch must report every acknowledged write, once and in order, and every one must be there in the end.
func failover(ctx context.Context, run *run) (any, error) {
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	session, err := concurrency.NewSession(client, concurrency.WithTTL(20))
	if err != nil {
		return nil, err
	}
	lock := concurrency.NewMutex(session, "failover-lock")
	if err := lock.Lock(ctx); err != nil {
		return nil, err
	}
	watchCtx, endWatch := context.WithCancel(ctx)
	defer endWatch()
	watch := client.Watch(clientv3.WithRequireLeader(watchCtx), "failover/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	created := <-watch
	watched := make(chan watchedWrites, 1)
	go func() { watched <- watchWrites(watchCtx, client, watch, created.Header.Revision) }()

	writes, stop := context.WithCancel(ctx)
	defer stop()
	written := make([]writerResult, failoverWriters)
	var group sync.WaitGroup
	for writer := range failoverWriters {
		group.Go(func() { written[writer] = writeOn(ctx, writes, client, writer) })
	}
	run.report("running")
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
	}
	stop()
	group.Wait()
	last, err := client.Put(ctx, "failover/last", "")
	if err != nil {
		return nil, err
	}
	told := <-watched
	if told.err != nil {
		return nil, told.err
	}
	result := map[string]any{"watchOutOfOrder": told.outOfOrder, "toldToTheEnd": told.last == last.Header.Revision}
	acknowledged, missing, gap := 0, 0, time.Duration(0)
	for _, writer := range written {
		acknowledged += len(writer.revisions)
		gap = max(gap, writer.longestGap)
		for revision, value := range writer.revisions {
			if told.values[revision] != value {
				missing++
			}
		}
	}
	owner, err := client.Txn(ctx).If(lock.IsOwner()).Commit()
	if err != nil {
		return nil, err
	}
	select {
	case <-session.Done():
		result["session"] = "lost"
	default:
		result["session"] = "held"
	}
	result["lockHeld"] = owner.Succeeded
	result["acknowledged"] = acknowledged
	result["missing"] = missing
	result["longestGapMs"] = gap.Milliseconds()
	return result, nil
}

type writerResult struct {
	// What each acknowledged write put, by its revision.
	revisions  map[int64]string
	longestGap time.Duration
}

// writeOn writes until the context is done. A write that failed may have been applied; only acknowledged ones count.
func writeOn(ctx, until context.Context, client *clientv3.Client, writer int) writerResult {
	result := writerResult{revisions: map[int64]string{}}
	last := time.Now()
	for at := 0; until.Err() == nil; at++ {
		value := fmt.Sprintf("%d/%d", writer, at)
		attempt, cancel := context.WithTimeout(ctx, attemptLimit)
		answer, err := client.Put(attempt, fmt.Sprintf("failover/%d", writer), value)
		cancel()
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		result.revisions[answer.Header.Revision] = value
		result.longestGap = max(result.longestGap, time.Since(last))
		last = time.Now()
	}
	return result
}

type watchedWrites struct {
	values     map[int64]string
	outOfOrder int
	last       int64
	err        error
}

// watchWrites reads until the last write has been reported. A watch that ends because there is no leader is resumed
// after the last event, as every user of WithRequireLeader does.
func watchWrites(ctx context.Context, client *clientv3.Client, watch clientv3.WatchChan, from int64) watchedWrites {
	result := watchedWrites{values: map[int64]string{}, last: from}
	for {
		for response := range watch {
			if err := response.Err(); err != nil {
				if err.Error() == "etcdserver: no leader" {
					break
				}
				result.err = err
				return result
			}
			for _, event := range response.Events {
				if event.Kv.ModRevision <= result.last {
					result.outOfOrder++
				}
				result.last = event.Kv.ModRevision
				result.values[event.Kv.ModRevision] = string(event.Kv.Value)
				if string(event.Kv.Key) == "failover/last" {
					return result
				}
			}
		}
		if ctx.Err() != nil {
			result.err = errors.New("the watch never reported the last write")
			return result
		}
		watch = client.Watch(clientv3.WithRequireLeader(ctx), "failover/", clientv3.WithPrefix(), clientv3.WithRev(result.last+1))
	}
}
