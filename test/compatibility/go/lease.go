package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// leases are granted, renewed, inspected and revoked, one and many. Parameters: leases (how many are renewed at once),
// expiry (1: wait until leases that are not renewed have expired, for some seconds).
func leases(ctx context.Context, run *run) (any, error) {
	count, err := run.number("leases", 100)
	if err != nil {
		return nil, err
	}
	expiry, err := run.number("expiry", 0)
	if err != nil {
		return nil, err
	}
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	parts := []part{
		{"one", func() (any, error) { return oneLease(ctx, client) }},
		{"refused", func() (any, error) { return refusedLeases(ctx, client) }},
		{"once", func() (any, error) { return renewOnce(ctx, client) }},
		{"many", func() (any, error) { return renewMany(ctx, client, count) }},
		{"moved", func() (any, error) { return movedKey(ctx, client) }},
	}
	if expiry != 0 {
		parts = append(parts, part{"expiry", func() (any, error) { return expiringLeases(ctx, client) }})
	}
	return inParts(parts)
}

func oneLease(ctx context.Context, client *clientv3.Client) (any, error) {
	granted, err := client.Grant(ctx, 600)
	if err != nil {
		return nil, err
	}
	short, err := client.Grant(ctx, 1)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"lease/b", "lease/a", "lease/c"} {
		if _, err = client.Put(ctx, key, "", clientv3.WithLease(granted.ID)); err != nil {
			return nil, err
		}
	}
	got, err := client.Get(ctx, "lease/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	keysOnly, err := client.Get(ctx, "lease/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	live, err := client.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return nil, err
	}
	all, err := client.Leases(ctx)
	if err != nil {
		return nil, err
	}
	listed := false
	for _, lease := range all.Leases {
		listed = listed || lease.ID == granted.ID
	}
	if _, err = client.Revoke(ctx, granted.ID); err != nil {
		return nil, err
	}
	left, err := client.Get(ctx, "lease/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	dead, err := client.TimeToLive(ctx, granted.ID)
	if err != nil {
		return nil, err
	}
	if _, err = client.Revoke(ctx, short.ID); err != nil {
		return nil, err
	}
	return map[string]any{
		"ttl": granted.TTL, "shortTtl": short.TTL, "grantedTtl": live.GrantedTTL, "keys": sorted(live.Keys),
		"inTime": live.TTL > 590 && live.TTL <= 600, "listed": listed,
		"got": shapes(got.Kvs), "keysOnly": keysWithoutLease(keysOnly.Kvs), "left": shapes(left.Kvs), "deadTtl": dead.TTL,
	}, nil
}

// keysWithoutLease leaves out the lease, which etcd 3.7 does not return for keys-only reads.
func keysWithoutLease(kvs []*mvccpb.KeyValue) []keyShape {
	shaped := shapes(kvs)
	for at := range shaped {
		shaped[at].Leased = false
	}
	return shaped
}

func sorted(keys [][]byte) []string {
	names := []string{}
	for _, key := range keys {
		names = append(names, string(key))
	}
	sort.Strings(names)
	return names
}

func refusedLeases(ctx context.Context, client *clientv3.Client) (any, error) {
	const id = clientv3.LeaseID(4711)
	refusals := map[string]string{}
	_, err := client.Revoke(ctx, id)
	refusals["revoke unknown"] = errorText(err)
	_, err = client.KeepAliveOnce(ctx, id)
	refusals["renew unknown"] = errorText(err)
	_, err = client.Grant(ctx, 9_000_000_001)
	refusals["too long"] = errorText(err)
	_, err = client.Put(ctx, "a", "", clientv3.WithLease(id))
	refusals["put under unknown"] = errorText(err)
	channel, err := client.KeepAlive(ctx, id)
	if err != nil {
		return nil, err
	}
	select {
	case response := <-channel:
		refusals["keep unknown alive"] = fmt.Sprint(response)
	case <-time.After(watchLimit):
		return nil, errors.New("KeepAlive of an unknown lease has no end")
	}
	return refusals, nil
}

func renewOnce(ctx context.Context, client *clientv3.Client) (any, error) {
	granted, err := client.Grant(ctx, 50)
	if err != nil {
		return nil, err
	}
	renewed, err := client.KeepAliveOnce(ctx, granted.ID)
	if err != nil {
		return nil, err
	}
	_, err = client.Revoke(ctx, granted.ID)
	return map[string]any{"ttl": renewed.TTL, "same": renewed.ID == granted.ID}, err
}

// All leases are renewed over one stream.
func renewMany(ctx context.Context, client *clientv3.Client, count int) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ids := []clientv3.LeaseID{}
	for range count {
		granted, err := client.Grant(ctx, 60)
		if err != nil {
			return nil, err
		}
		ids = append(ids, granted.ID)
	}
	answers := map[clientv3.LeaseID]<-chan *clientv3.LeaseKeepAliveResponse{}
	for _, id := range ids {
		channel, err := client.KeepAlive(ctx, id)
		if err != nil {
			return nil, err
		}
		answers[id] = channel
	}
	renewed := 0
	for id, channel := range answers {
		select {
		case answer := <-channel:
			if answer != nil && answer.ID == id && answer.TTL == 60 {
				renewed++
			}
		case <-time.After(watchLimit):
			return nil, fmt.Errorf("lease %x was not renewed", id)
		}
	}
	for _, id := range ids {
		if _, err := client.Revoke(ctx, id); err != nil {
			return nil, err
		}
	}
	return map[string]any{"renewed": renewed}, nil
}

// A key is deleted with the lease that it was last put under.
func movedKey(ctx context.Context, client *clientv3.Client) (any, error) {
	first, err := client.Grant(ctx, 60)
	if err != nil {
		return nil, err
	}
	second, err := client.Grant(ctx, 60)
	if err != nil {
		return nil, err
	}
	if _, err = client.Put(ctx, "moved", "1", clientv3.WithLease(first.ID)); err != nil {
		return nil, err
	}
	if _, err = client.Put(ctx, "moved", "2", clientv3.WithLease(second.ID)); err != nil {
		return nil, err
	}
	if _, err = client.Revoke(ctx, first.ID); err != nil {
		return nil, err
	}
	kept, err := client.Get(ctx, "moved")
	if err != nil {
		return nil, err
	}
	if _, err = client.Put(ctx, "moved", "", clientv3.WithIgnoreLease(), clientv3.WithPrevKV()); err != nil {
		return nil, err
	}
	if _, err = client.Revoke(ctx, second.ID); err != nil {
		return nil, err
	}
	gone, err := client.Get(ctx, "moved")
	if err != nil {
		return nil, err
	}
	return map[string]any{"kept": shapes(kept.Kvs), "gone": shapes(gone.Kvs)}, nil
}

// Of ten leases five are renewed; the keys of the others are deleted once they have expired, and not before.
func expiringLeases(ctx context.Context, client *clientv3.Client) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const ttl = 3
	watch := client.Watch(ctx, "expiry/", clientv3.WithPrefix(), clientv3.WithFilterPut(), clientv3.WithCreatedNotify())
	<-watch
	start := time.Now()
	for at := range 10 {
		granted, err := client.Grant(ctx, ttl)
		if err != nil {
			return nil, err
		}
		if _, err = client.Put(ctx, fmt.Sprintf("expiry/%d", at), "", clientv3.WithLease(granted.ID)); err != nil {
			return nil, err
		}
		if at%2 == 0 {
			if _, err = client.KeepAlive(ctx, granted.ID); err != nil {
				return nil, err
			}
		}
	}
	events, err := take(watch, 5)
	if err != nil {
		return nil, err
	}
	expired := [][]byte{}
	for _, event := range events {
		expired = append(expired, event.Kv.Key)
	}
	early := time.Since(start) < ttl*time.Second
	left, err := client.Get(ctx, "expiry/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	return map[string]any{"expired": sorted(expired), "early": early, "left": len(left.Kvs)}, nil
}
