package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const pageSize = 97

// keyValues writes many small keys and some large values, then reads, changes and deletes them in every way the client
// offers. Parameters: keys, values (their number), bytes (of each value).
func keyValues(ctx context.Context, run *run) (any, error) {
	keys, err := run.number("keys", 1000)
	if err != nil {
		return nil, err
	}
	values, err := run.number("values", 10)
	if err != nil {
		return nil, err
	}
	size, err := run.number("bytes", 60_000)
	if err != nil {
		return nil, err
	}
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	return inParts([]part{
		{"many", func() (any, error) { return manyKeys(ctx, client, keys) }},
		{"large", func() (any, error) { return largeValues(ctx, client, values, size) }},
		{"single", func() (any, error) { return singleKey(ctx, client) }},
		{"transaction", func() (any, error) { return transaction(ctx, client) }},
		{"refused", func() (any, error) { return refusedRequests(ctx, client) }},
	})
}

// manyKeys reads what it wrote in pages, as kube-apiserver lists, with all pages at the revision of the first one.
func manyKeys(ctx context.Context, client *clientv3.Client, count int) (any, error) {
	for start := 0; start < count; start += 100 {
		var puts []clientv3.Op
		for at := start; at < min(start+100, count); at++ {
			puts = append(puts, clientv3.OpPut(fmt.Sprintf("many/%06d", at), fmt.Sprintf("value %d", at)))
		}
		if _, err := client.Txn(ctx).Then(puts...).Commit(); err != nil {
			return nil, err
		}
	}
	// Only one key was changed last: the order of equal revisions is the server's choice.
	if _, err := client.Put(ctx, "many/000007", "changed"); err != nil {
		return nil, err
	}
	end := clientv3.GetPrefixRangeEnd("many/")
	digest, pages, read := sha256.New(), 0, 0
	var counts []int64
	var revision int64
	for from := "many/"; ; pages++ {
		page, err := client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(revision))
		if err != nil {
			return nil, err
		}
		if revision == 0 {
			revision = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			digest.Write(kv.Key)
			digest.Write(kv.Value)
		}
		read += len(page.Kvs)
		counts = append(counts, page.Count)
		if !page.More {
			break
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
	last, err := client.Get(ctx, "many/", clientv3.WithLastKey()...)
	if err != nil {
		return nil, err
	}
	latest, err := client.Get(ctx, "many/", append(clientv3.WithLastRev(), clientv3.WithPrefix(), clientv3.WithKeysOnly())...)
	if err != nil {
		return nil, err
	}
	deleted, err := client.Delete(ctx, "many/", clientv3.WithPrefix(), clientv3.WithPrevKV())
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"pages": pages + 1, "read": read, "counts": counts, "digest": hex.EncodeToString(digest.Sum(nil)),
		"last": shapes(last.Kvs), "latest": shapes(latest.Kvs),
		"deleted": deleted.Deleted, "deletedValues": len(deleted.PrevKvs),
	}, nil
}

func largeValues(ctx context.Context, client *clientv3.Client, count, size int) (any, error) {
	want := sha256.New()
	for at := range count {
		value := bytes.Repeat([]byte{byte('a' + at%26)}, size)
		want.Write(value)
		if _, err := client.Put(ctx, fmt.Sprintf("large/%03d", at), string(value)); err != nil {
			return nil, err
		}
	}
	got := sha256.New()
	answer, err := client.Get(ctx, "large/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	for _, kv := range answer.Kvs {
		got.Write(kv.Value)
	}
	counted, err := client.Get(ctx, "large/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return nil, err
	}
	_, err = client.Delete(ctx, "large/", clientv3.WithPrefix())
	return map[string]any{
		"count": counted.Count, "same": bytes.Equal(want.Sum(nil), got.Sum(nil)), "bytes": count * size,
	}, err
}

func singleKey(ctx context.Context, client *clientv3.Client) (any, error) {
	first, err := client.Put(ctx, "single", "one", clientv3.WithPrevKV())
	if err != nil {
		return nil, err
	}
	second, err := client.Put(ctx, "single", "two", clientv3.WithPrevKV())
	if err != nil {
		return nil, err
	}
	old, err := client.Get(ctx, "single", clientv3.WithRev(first.Header.Revision))
	if err != nil {
		return nil, err
	}
	stale, err := client.Get(ctx, "single", clientv3.WithSerializable())
	if err != nil {
		return nil, err
	}
	_, err = client.Put(ctx, "single", "", clientv3.WithIgnoreValue())
	if err != nil {
		return nil, err
	}
	kept, err := client.Get(ctx, "single")
	if err != nil {
		return nil, err
	}
	gone, err := client.Delete(ctx, "single", clientv3.WithPrevKV())
	if err != nil {
		return nil, err
	}
	again, err := client.Delete(ctx, "single")
	return map[string]any{
		"firstHadPrevious": first.PrevKv != nil, "secondHadPrevious": string(second.PrevKv.Value),
		"old": shapes(old.Kvs), "stale": shapes(stale.Kvs), "kept": shapes(kept.Kvs),
		"gone": shapes(gone.PrevKvs), "again": again.Deleted,
		"step": second.Header.Revision - first.Header.Revision,
	}, err
}

func transaction(ctx context.Context, client *clientv3.Client) (any, error) {
	var outcomes []any
	for range 2 {
		answer, err := client.Txn(ctx).
			If(clientv3.Compare(clientv3.Version("txn/guard"), "=", 0)).
			Then(clientv3.OpPut("txn/guard", "taken"), clientv3.OpPut("txn/other", "1")).
			Else(
				clientv3.OpGet("txn/", clientv3.WithPrefix()),
				clientv3.OpTxn(
					[]clientv3.Cmp{clientv3.Compare(clientv3.Value("txn/"), "!=", "").WithPrefix()},
					[]clientv3.Op{clientv3.OpDelete("txn/", clientv3.WithPrefix())},
					nil,
				),
			).Commit()
		if err != nil {
			return nil, err
		}
		parts := []any{}
		for _, response := range answer.Responses {
			switch {
			case response.GetResponseRange() != nil:
				parts = append(parts, shapes(response.GetResponseRange().Kvs))
			case response.GetResponseTxn() != nil:
				parts = append(parts, response.GetResponseTxn().Succeeded)
			default:
				parts = append(parts, "put")
			}
		}
		outcomes = append(outcomes, map[string]any{"succeeded": answer.Succeeded, "parts": parts})
	}
	return outcomes, nil
}

// refusedRequests checks that requests fail with etcd's texts, which programs compare.
func refusedRequests(ctx context.Context, client *clientv3.Client) (any, error) {
	answer, err := client.Get(ctx, "a")
	if err != nil {
		return nil, err
	}
	refusals := map[string]string{}
	note := func(name string, err error) { refusals[name] = errorText(err) }
	_, err = client.Put(ctx, "", "no key")
	note("no key", err)
	_, err = client.Get(ctx, "a", clientv3.WithRev(answer.Header.Revision+1000))
	note("future revision", err)
	_, err = client.Compact(ctx, answer.Header.Revision+1000)
	note("future compaction", err)
	_, err = client.Put(ctx, "a", "", clientv3.WithIgnoreValue())
	note("ignored value of no key", err)
	_, err = client.Put(ctx, "a", "b", clientv3.WithLease(12345))
	note("unknown lease", err)
	_, err = client.Put(ctx, "a", string(make([]byte, 1_600_000)))
	note("too large", err)
	_, err = client.Txn(ctx).Then(clientv3.OpPut("a", "1"), clientv3.OpPut("a", "2")).Commit()
	note("duplicate key", err)
	_, err = client.Txn(ctx).Then(tooManyOperations()...).Commit()
	note("too many operations", err)
	return refusals, nil
}

func tooManyOperations() []clientv3.Op {
	var operations []clientv3.Op
	for at := range 129 {
		operations = append(operations, clientv3.OpPut(fmt.Sprintf("a/%d", at), ""))
	}
	return operations
}
