package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/ordering"
)

// wrappers are the client's packages that wrap a program's calls.
func wrappers(ctx context.Context, run *run) (any, error) {
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	return inParts([]part{
		{"namespace", func() (any, error) { return namespaced(ctx, client) }},
		{"mirror", func() (any, error) { return mirrored(ctx, client) }},
		{"ordering", func() (any, error) { return ordered(ctx, client) }},
		{"leasing", func() (any, error) { return leased(ctx, client) }},
		{"naming", func() (any, error) { return named(ctx, client) }},
		{"kubernetes", func() (any, error) { return likeKubernetes(ctx, run) }},
	})
}

func namespaced(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kv := namespace.NewKV(client.KV, "space/")
	watcher := namespace.NewWatcher(client.Watcher, "space/")
	lease := namespace.NewLease(client.Lease, "space/")
	granted, err := lease.Grant(ctx, 60)
	if err != nil {
		return nil, err
	}
	first, err := kv.Put(ctx, "a", "1", clientv3.WithLease(granted.ID))
	if err != nil {
		return nil, err
	}
	if _, err = kv.Txn(ctx).If(clientv3.Compare(clientv3.Version("a"), "=", 1)).
		Then(clientv3.OpPut("b", "2"), clientv3.OpGet("", clientv3.WithPrefix())).Commit(); err != nil {
		return nil, err
	}
	inside, err := kv.Get(ctx, "", clientv3.WithFromKey())
	if err != nil {
		return nil, err
	}
	outside, err := client.Get(ctx, "space/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	attached, err := lease.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return nil, err
	}
	events, err := take(watcher.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(first.Header.Revision)), 2)
	if err != nil {
		return nil, err
	}
	deleted, err := kv.Delete(ctx, "", clientv3.WithFromKey(), clientv3.WithPrevKV())
	if err != nil {
		return nil, err
	}
	_, err = lease.Revoke(ctx, granted.ID)
	return map[string]any{
		"inside": shapes(inside.Kvs), "outside": shapes(outside.Kvs), "attached": sorted(attached.Keys),
		"events": eventShapes(events), "deleted": shapes(deleted.PrevKvs),
	}, err
}

// A mirrored prefix equals the original in the end.
func mirrored(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const keys = 2500
	for start := 0; start < keys; start += 100 {
		var puts []clientv3.Op
		for at := start; at < start+100; at++ {
			puts = append(puts, clientv3.OpPut(fmt.Sprintf("original/%05d", at), fmt.Sprint(at)))
		}
		if _, err := client.Txn(ctx).Then(puts...).Commit(); err != nil {
			return nil, err
		}
	}
	syncer := mirror.NewSyncer(client, "original/", 0)
	copied := map[string]string{}
	pages, failed := syncer.SyncBase(ctx)
	base := 0
	for page := range pages {
		base++
		for _, kv := range page.Kvs {
			copied[string(kv.Key)] = string(kv.Value)
		}
	}
	if err := <-failed; err != nil {
		return nil, err
	}
	updates := syncer.SyncUpdates(ctx)
	if _, err := client.Put(ctx, "original/new", "added"); err != nil {
		return nil, err
	}
	if _, err := client.Delete(ctx, "original/00", clientv3.WithPrefix()); err != nil {
		return nil, err
	}
	if _, err := client.Put(ctx, "original/02000", "changed"); err != nil {
		return nil, err
	}
	events, err := take(updates, 2+1000)
	if err != nil {
		return nil, err
	}
	for _, event := range events {
		if event.Type == clientv3.EventTypeDelete {
			delete(copied, string(event.Kv.Key))
		} else {
			copied[string(event.Kv.Key)] = string(event.Kv.Value)
		}
	}
	original, err := client.Get(ctx, "original/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	same := len(original.Kvs) == len(copied)
	for _, kv := range original.Kvs {
		same = same && copied[string(kv.Key)] == string(kv.Value)
	}
	_, err = client.Delete(ctx, "original/", clientv3.WithPrefix())
	return map[string]any{"pages": base, "keys": len(copied), "same": same}, err
}

// A client that has seen a revision never reads an older one.
func ordered(ctx context.Context, client *clientv3.Client) (any, error) {
	kv := ordering.NewKV(client.KV, func(clientv3.Op, clientv3.OpResponse, int64) error {
		return errors.New("the server went back")
	})
	last, older := int64(0), 0
	for at := range 50 {
		if _, err := kv.Put(ctx, "ordering", fmt.Sprint(at)); err != nil {
			return nil, err
		}
		answer, err := kv.Get(ctx, "ordering", clientv3.WithSerializable())
		if err != nil {
			return nil, err
		}
		if answer.Header.Revision < last {
			older++
		}
		last = answer.Header.Revision
	}
	return map[string]any{"older": older}, nil
}

// Two caches of one key: a write through one of them takes the key's lease from the other.
func leased(ctx context.Context, client *clientv3.Client) (any, error) {
	first, closeFirst, err := leasing.NewKV(client, "leasing/")
	if err != nil {
		return nil, err
	}
	defer closeFirst()
	second, closeSecond, err := leasing.NewKV(client, "leasing/")
	if err != nil {
		return nil, err
	}
	defer closeSecond()
	read := []string{}
	for at := range 5 {
		writer, reader := first, second
		if at%2 == 1 {
			writer, reader = second, first
		}
		if _, err = writer.Put(ctx, "cached", fmt.Sprint(at)); err != nil {
			return nil, err
		}
		for _, cache := range []clientv3.KV{reader, writer, reader} {
			answer, err := cache.Get(ctx, "cached")
			if err != nil {
				return nil, err
			}
			read = append(read, string(answer.Kvs[0].Value))
		}
	}
	_, err = first.Delete(ctx, "cached")
	return read, err
}

func named(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	manager, err := endpoints.NewManager(client, "service")
	if err != nil {
		return nil, err
	}
	updates, err := manager.NewWatchChannel(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"a", "b"} {
		if err = manager.AddEndpoint(ctx, "service/"+name, endpoints.Endpoint{Addr: name + ":1"}); err != nil {
			return nil, err
		}
	}
	if err = manager.DeleteEndpoint(ctx, "service/a"); err != nil {
		return nil, err
	}
	told := []string{}
	for len(told) < 3 {
		select {
		case some := <-updates:
			for _, update := range some {
				told = append(told, fmt.Sprint(update.Op, update.Key))
			}
		case <-time.After(watchLimit):
			return nil, fmt.Errorf("only %d updates came", len(told))
		}
	}
	list, err := manager.List(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for key, endpoint := range list {
		names = append(names, key+"="+endpoint.Addr)
	}
	sort.Strings(names)
	return map[string]any{"told": told, "list": names}, manager.DeleteEndpoint(ctx, "service/b")
}

// likeKubernetes writes and lists as kube-apiserver does.
func likeKubernetes(ctx context.Context, run *run) (any, error) {
	name, password := run.credentials()
	config, err := run.config(name, password, run.endpoints)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.New(config)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	store := client.Kubernetes
	created, err := store.OptimisticPut(ctx, "pods/a", []byte("1"), 0, kubernetes.PutOptions{})
	if err != nil {
		return nil, err
	}
	conflict, err := store.OptimisticPut(ctx, "pods/a", []byte("2"), 0, kubernetes.PutOptions{GetOnFailure: true})
	if err != nil {
		return nil, err
	}
	updated, err := store.OptimisticPut(ctx, "pods/a", []byte("2"), created.Revision, kubernetes.PutOptions{})
	if err != nil {
		return nil, err
	}
	for at := range 10 {
		if _, err = store.OptimisticPut(ctx, fmt.Sprintf("pods/b%d", at), nil, 0, kubernetes.PutOptions{}); err != nil {
			return nil, err
		}
	}
	page, err := store.List(ctx, "pods/", kubernetes.ListOptions{Limit: 4})
	if err != nil {
		return nil, err
	}
	next := string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	rest, err := store.List(ctx, "pods/", kubernetes.ListOptions{Revision: page.Revision, Continue: next})
	if err != nil {
		return nil, err
	}
	count, err := store.Count(ctx, "pods/", kubernetes.CountOptions{})
	if err != nil {
		return nil, err
	}
	stale, err := store.OptimisticDelete(ctx, "pods/a", created.Revision, kubernetes.DeleteOptions{GetOnFailure: true})
	if err != nil {
		return nil, err
	}
	deleted, err := store.OptimisticDelete(ctx, "pods/a", updated.Revision, kubernetes.DeleteOptions{})
	if err != nil {
		return nil, err
	}
	_, err = client.Delete(ctx, "pods/", clientv3.WithPrefix())
	return map[string]any{
		"created": created.Succeeded, "conflict": conflict.Succeeded, "found": string(conflict.KV.Value),
		"updated": updated.Succeeded, "page": shapes(page.Kvs), "pageCount": page.Count, "rest": shapes(rest.Kvs),
		"count": count, "stale": stale.Succeeded, "staleFound": string(stale.KV.Value), "deleted": deleted.Succeeded,
	}, err
}
