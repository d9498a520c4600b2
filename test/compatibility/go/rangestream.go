package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// rangeStreams reads a prefix as streams while it is written to; each stream must show one state: that of its
// revision. Parameters: keys, streams. If the server has no such method, the result says so.
func rangeStreams(ctx context.Context, run *run) (any, error) {
	keys, err := run.number("keys", 1000)
	if err != nil {
		return nil, err
	}
	streams, err := run.number("streams", 10)
	if err != nil {
		return nil, err
	}
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	for start := 0; start < keys; start += 100 {
		var puts []clientv3.Op
		for at := start; at < min(start+100, keys); at++ {
			puts = append(puts, clientv3.OpPut(fmt.Sprintf("streamed/%05d", at), strings.Repeat("s", 200)))
		}
		if _, err := client.Txn(ctx).Then(puts...).Commit(); err != nil {
			return nil, err
		}
	}
	if _, err := stream(ctx, client, "streamed/", clientv3.WithPrefix()); status.Code(err) == codes.Unimplemented {
		return "not there", nil
	}
	return inParts([]part{
		{"options", func() (any, error) { return streamOptions(ctx, client) }},
		{"underWrites", func() (any, error) { return streamsUnderWrites(ctx, client, keys, streams) }},
	})
}

func stream(ctx context.Context, client *clientv3.Client, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	pieces, err := client.GetStream(ctx, key, options...)
	if err != nil {
		return nil, err
	}
	return clientv3.GetStreamToGetResponse(pieces)
}

func streamOptions(ctx context.Context, client *clientv3.Client) (any, error) {
	last, err := client.Put(ctx, "streamed/00003", "newest")
	if err != nil {
		return nil, err
	}
	same := map[string]string{}
	for name, options := range map[string][]clientv3.OpOption{
		"prefix":       {clientv3.WithPrefix()},
		"limit":        {clientv3.WithPrefix(), clientv3.WithLimit(17)},
		"count":        {clientv3.WithPrefix(), clientv3.WithCountOnly()},
		"keys":         {clientv3.WithPrefix(), clientv3.WithKeysOnly()},
		"old":          {clientv3.WithPrefix(), clientv3.WithRev(last.Header.Revision - 1)},
		"serializable": {clientv3.WithPrefix(), clientv3.WithSerializable()},
		"newest":       {clientv3.WithPrefix(), clientv3.WithMinModRev(last.Header.Revision)},
		"future":       {clientv3.WithPrefix(), clientv3.WithRev(last.Header.Revision + 1_000_000)},
		"one":          {},
	} {
		streamed, streamErr := stream(ctx, client, "streamed/00003", options...)
		got, getErr := client.Get(ctx, "streamed/00003", options...)
		switch {
		case streamErr != nil || getErr != nil:
			same[name] = errorText(streamErr)
		default:
			same[name] = fmt.Sprint(
				len(streamed.Kvs), streamed.Count, streamed.More, reflect.DeepEqual(shapes(streamed.Kvs), shapes(got.Kvs)))
		}
	}
	return same, nil
}

func streamsUnderWrites(ctx context.Context, client *clientv3.Client, keys, streams int) (any, error) {
	writes, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	for writer := range 4 {
		group.Go(func() {
			for at := writer; writes.Err() == nil; at += 7 {
				_, _ = client.Put(writes, fmt.Sprintf("streamed/%05d", at%keys), fmt.Sprint(at))
			}
		})
	}
	equal := 0
	for range streams {
		streamed, err := stream(ctx, client, "streamed/", clientv3.WithPrefix())
		if err != nil {
			return nil, err
		}
		got, err := client.Get(ctx, "streamed/", clientv3.WithPrefix(), clientv3.WithRev(streamed.Header.Revision))
		if err != nil {
			return nil, err
		}
		if reflect.DeepEqual(shapes(streamed.Kvs), shapes(got.Kvs)) && streamed.Count == got.Count {
			equal++
		}
	}
	return map[string]any{"equal": equal, "of": streams}, nil
}
