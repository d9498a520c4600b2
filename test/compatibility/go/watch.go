package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// How long a watch may be silent although an event is due.
const watchLimit = 20 * time.Second

// watches reads histories and live changes in every way the client offers. Parameter: keys (of the backlog).
func watches(ctx context.Context, run *run) (any, error) {
	keys, err := run.number("keys", 500)
	if err != nil {
		return nil, err
	}
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	return inParts([]part{
		{"backlog", func() (any, error) { return watchBacklog(ctx, client, keys) }},
		{"previous", func() (any, error) { return watchPrevious(ctx, client) }},
		{"filters", func() (any, error) { return watchFiltered(ctx, client) }},
		{"fragments", func() (any, error) { return watchFragments(ctx, client) }},
		{"progress", func() (any, error) { return watchProgress(ctx, client) }},
		{"compacted", func() (any, error) { return watchCompacted(ctx, client) }},
		{"crowd", func() (any, error) { return watchCrowd(ctx, client) }},
		{"live", func() (any, error) { return watchLive(ctx, client) }},
	})
}

// eventShape leaves out what depends on the history before.
type eventShape struct {
	Kind     string    `json:"kind"`
	Created  bool      `json:"created,omitempty"`
	Key      keyShape  `json:"key"`
	Previous *keyShape `json:"previous,omitempty"`
}

func eventShapes(events []*clientv3.Event) []eventShape {
	shaped := []eventShape{}
	for _, event := range events {
		shape := eventShape{Kind: event.Type.String(), Created: event.IsCreate(), Key: shapeOf(event.Kv)}
		if event.PrevKv != nil {
			previous := shapeOf(event.PrevKv)
			shape.Previous = &previous
		}
		shaped = append(shaped, shape)
	}
	return shaped
}

// take reads a watch until it has reported count events, in the order of their revisions.
func take(watch clientv3.WatchChan, count int) ([]*clientv3.Event, error) {
	var events []*clientv3.Event
	last := int64(0)
	deadline := time.After(watchLimit)
	for len(events) < count {
		select {
		case response, open := <-watch:
			if !open {
				return nil, errors.New("the watch has ended")
			}
			if err := response.Err(); err != nil {
				return nil, err
			}
			for _, event := range response.Events {
				if event.Kv.ModRevision < last {
					return nil, fmt.Errorf("revision %d came after %d", event.Kv.ModRevision, last)
				}
				last = event.Kv.ModRevision
			}
			events = append(events, response.Events...)
		case <-deadline:
			return nil, fmt.Errorf("only %d of %d events came within %s", len(events), count, watchLimit)
		}
	}
	return events, nil
}

// Two changes and a deletion of each key, read from the first revision by four watchers.
func watchBacklog(ctx context.Context, client *clientv3.Client, keys int) (any, error) {
	first, err := client.Put(ctx, "backlog/first", "")
	if err != nil {
		return nil, err
	}
	for round := range 3 {
		for start := 0; start < keys; start += 100 {
			var changes []clientv3.Op
			for at := start; at < min(start+100, keys); at++ {
				key := fmt.Sprintf("backlog/%05d", at)
				if round == 2 {
					changes = append(changes, clientv3.OpDelete(key))
				} else {
					changes = append(changes, clientv3.OpPut(key, fmt.Sprintf("%d in round %d", at, round)))
				}
			}
			if _, err := client.Txn(ctx).Then(changes...).Commit(); err != nil {
				return nil, err
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	digests := map[string]int{}
	for range 4 {
		watch := client.Watch(ctx, "backlog/", clientv3.WithPrefix(), clientv3.WithRev(first.Header.Revision))
		events, err := take(watch, 1+3*keys)
		if err != nil {
			return nil, err
		}
		digest := sha256.New()
		for _, event := range events {
			fmt.Fprintln(digest, event.Type, string(event.Kv.Key), string(event.Kv.Value), event.Kv.Version,
				event.Kv.ModRevision-first.Header.Revision)
		}
		digests[hex.EncodeToString(digest.Sum(nil))]++
	}
	return digests, nil
}

func watchPrevious(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := client.Put(ctx, "previous", "one")
	if err != nil {
		return nil, err
	}
	if _, err = client.Put(ctx, "previous", "two"); err != nil {
		return nil, err
	}
	if _, err = client.Delete(ctx, "previous"); err != nil {
		return nil, err
	}
	if _, err = client.Put(ctx, "previous", "three"); err != nil {
		return nil, err
	}
	events, err := take(client.Watch(ctx, "previous", clientv3.WithPrevKV(), clientv3.WithRev(first.Header.Revision)), 4)
	if err != nil {
		return nil, err
	}
	plain, err := take(client.Watch(ctx, "previous", clientv3.WithRev(first.Header.Revision+1)), 3)
	if err != nil {
		return nil, err
	}
	return map[string]any{"with": eventShapes(events), "without": eventShapes(plain)}, nil
}

func watchFiltered(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := client.Put(ctx, "filters/a", "1")
	if err != nil {
		return nil, err
	}
	if _, err = client.Delete(ctx, "filters/a"); err != nil {
		return nil, err
	}
	if _, err = client.Put(ctx, "filters/b", "2"); err != nil {
		return nil, err
	}
	if _, err = client.Delete(ctx, "filters/b"); err != nil {
		return nil, err
	}
	from := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(first.Header.Revision)}
	deletions, err := take(client.Watch(ctx, "filters/", append(from, clientv3.WithFilterPut())...), 2)
	if err != nil {
		return nil, err
	}
	puts, err := take(client.Watch(ctx, "filters/", append(from, clientv3.WithFilterDelete())...), 2)
	if err != nil {
		return nil, err
	}
	return map[string]any{"puts": eventShapes(puts), "deletions": eventShapes(deletions)}, nil
}

// One response of several megabytes, whole and in fragments, which the client reassembles.
func watchFragments(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first int64
	for at := range 6 {
		var puts []clientv3.Op
		for piece := range 10 {
			puts = append(puts, clientv3.OpPut(fmt.Sprintf("fragments/%d/%d", at, piece), strings.Repeat("f", 100_000)))
		}
		answer, err := client.Txn(ctx).Then(puts...).Commit()
		if err != nil {
			return nil, err
		}
		if first == 0 {
			first = answer.Header.Revision
		}
	}
	read := func(options ...clientv3.OpOption) (any, error) {
		options = append(options, clientv3.WithPrefix(), clientv3.WithRev(first))
		events, err := take(client.Watch(ctx, "fragments/", options...), 60)
		if err != nil {
			return nil, err
		}
		digest := sha256.New()
		for _, event := range events {
			fmt.Fprintln(digest, string(event.Kv.Key), event.Kv.ModRevision-first, len(event.Kv.Value))
		}
		return hex.EncodeToString(digest.Sum(nil)), nil
	}
	fragments, err := read(clientv3.WithFragment())
	if err != nil {
		return nil, err
	}
	whole, err := read()
	if err != nil {
		return nil, err
	}
	_, err = client.Delete(ctx, "fragments/", clientv3.WithPrefix())
	return map[string]any{"fragments": fragments, "whole": whole}, err
}

// A requested progress note has the current revision, and nothing older follows it.
func watchProgress(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := client.Watch(ctx, "progress", clientv3.WithCreatedNotify())
	created := <-watch
	put, err := client.Put(ctx, "progress/elsewhere", "")
	if err != nil {
		return nil, err
	}
	deadline := time.After(watchLimit)
	// The member responds once the watcher is synced, and is silent until then.
	for {
		if err := client.RequestProgress(ctx); err != nil {
			return nil, err
		}
		select {
		case note := <-watch:
			if note.Header.GetRevision() < put.Header.Revision {
				continue
			}
			return map[string]any{
				"created": created.Created, "isNote": note.IsProgressNotify(),
				"ahead": note.Header.Revision - put.Header.Revision,
			}, nil
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			return nil, errors.New("no progress note came")
		}
	}
}

func watchCompacted(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := client.Put(ctx, "compacted", "1")
	if err != nil {
		return nil, err
	}
	second, err := client.Put(ctx, "compacted", "2")
	if err != nil {
		return nil, err
	}
	if _, err = client.Compact(ctx, second.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		return nil, err
	}
	watch := client.Watch(ctx, "compacted", clientv3.WithRev(first.Header.Revision))
	ended := <-watch
	_, open := <-watch
	_, oldRead := client.Get(ctx, "compacted", clientv3.WithRev(first.Header.Revision))
	_, again := client.Compact(ctx, first.Header.Revision)
	kept, err := take(client.Watch(ctx, "compacted", clientv3.WithRev(second.Header.Revision)), 1)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"error": errorText(ended.Err()), "canceled": ended.Canceled, "open": open,
		"compacted": ended.CompactRevision - second.Header.Revision,
		"read":      errorText(oldRead), "again": errorText(again), "kept": eventShapes(kept),
	}, nil
}

// Many watchers of one connection: each receives only its own key, and cancelled ones receive nothing.
func watchCrowd(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const crowd = 60
	var watches []clientv3.WatchChan
	for at := range crowd {
		watchCtx, end := context.WithCancel(ctx)
		watch := client.Watch(watchCtx, fmt.Sprintf("crowd/%d", at), clientv3.WithCreatedNotify())
		<-watch
		if at%2 == 1 {
			end()
			for range watch {
			}
		} else {
			defer end()
		}
		watches = append(watches, watch)
	}
	for at := range crowd {
		if _, err := client.Put(ctx, fmt.Sprintf("crowd/%d", at), fmt.Sprint(at)); err != nil {
			return nil, err
		}
	}
	told := 0
	for at, watch := range watches {
		if at%2 == 1 {
			continue
		}
		events, err := take(watch, 1)
		if err != nil {
			return nil, err
		}
		if string(events[0].Kv.Value) == fmt.Sprint(at) && len(events) == 1 {
			told++
		}
	}
	return map[string]any{"told": told}, nil
}

// Several clients write while one watches: every acknowledged write is reported once.
func watchLive(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const writers, writes = 4, 25
	watch := client.Watch(ctx, "live/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-watch
	var group sync.WaitGroup
	acknowledged := make([]map[int64]string, writers)
	failures := make([]error, writers)
	for writer := range writers {
		acknowledged[writer] = map[int64]string{}
		group.Go(func() {
			for at := range writes {
				value := fmt.Sprintf("%d/%d", writer, at)
				answer, err := client.Put(ctx, "live/"+value, value)
				if err != nil {
					failures[writer] = err
					return
				}
				acknowledged[writer][answer.Header.Revision] = value
			}
		})
	}
	events, err := take(watch, writers*writes)
	group.Wait()
	if err := errors.Join(append(failures, err)...); err != nil {
		return nil, err
	}
	matching := 0
	for _, event := range events {
		for _, own := range acknowledged {
			if own[event.Kv.ModRevision] == string(event.Kv.Value) {
				matching++
			}
		}
	}
	return map[string]any{"events": len(events), "matching": matching}, nil
}
