package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

const (
	megabyte    = 1_000_000
	largePrefix = "large/"
	probePause  = 10 * time.Millisecond
)

// largeReads reads ever more data in every way that returns much at once, as fast as it can and at a slow client's
// speed, and writes one key again and again meanwhile. Parameters: megabytes (a list, ascending), slowSeconds (how
// long a slow read takes). The first endpoint is read from, the last one is written to.
func largeReads(ctx context.Context, run *run) (any, error) {
	slowSeconds, err := run.number("slowSeconds", 3)
	if err != nil {
		return nil, err
	}
	writer, err := run.client(run.endpoints[len(run.endpoints)-1])
	if err != nil {
		return nil, err
	}
	results := map[string]any{}
	filled := 0
	for _, text := range strings.Split(run.parameters["megabytes"], ",") {
		size, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		for ; filled < size; filled++ {
			if _, err := writer.Put(ctx, fmt.Sprintf("%s%04d", largePrefix, filled), string(make([]byte, megabyte))); err != nil {
				return nil, err
			}
		}
		for name, read := range map[string]largeRead{"range": readRange, "watch": readBacklog, "snapshot": readSnapshot} {
			for pace, bytesPerSecond := range map[string]int{"fast": 0, "slow": size * megabyte / slowSeconds} {
				title := fmt.Sprintf("%s of %d MB, %s", name, size, pace)
				run.report(title)
				if results[title], err = readBesideWrites(ctx, run, writer, size, bytesPerSecond, read); err != nil {
					return nil, fmt.Errorf("%s: %w", title, err)
				}
			}
		}
	}
	return results, nil
}

// A largeRead reads this many megabytes and returns how many bytes arrived.
type largeRead func(ctx context.Context, client *clientv3.Client, size int) (int, error)

func readRange(ctx context.Context, client *clientv3.Client, size int) (int, error) {
	answer, err := client.Get(ctx, largePrefix, clientv3.WithPrefix(), clientv3.WithLimit(int64(size)))
	if err != nil {
		return 0, err
	}
	bytes := 0
	for _, kv := range answer.Kvs {
		bytes += len(kv.Value)
	}
	return bytes, nil
}

func readBacklog(ctx context.Context, client *clientv3.Client, size int) (int, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	bytes := 0
	for answer := range client.Watch(watching, largePrefix, clientv3.WithPrefix(), clientv3.WithRev(1)) {
		if err := answer.Err(); err != nil {
			return bytes, err
		}
		for _, event := range answer.Events {
			bytes += len(event.Kv.Value)
		}
		if bytes >= size*megabyte {
			return bytes, nil
		}
	}
	return bytes, context.Cause(watching)
}

func readSnapshot(ctx context.Context, client *clientv3.Client, _ int) (int, error) {
	reader, err := client.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	bytes, err := io.Copy(io.Discard, reader)
	return int(bytes), err
}

func readBesideWrites(
	ctx context.Context, run *run, writer *clientv3.Client, size, bytesPerSecond int, read largeRead,
) (any, error) {
	name, password := run.credentials()
	config, err := run.config(name, password, run.endpoints[:1])
	if err != nil {
		return nil, err
	}
	var dials atomic.Int32
	config.MaxCallRecvMsgSize = math.MaxInt32
	config.DialOptions = append(config.DialOptions, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		dials.Add(1)
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil || bytesPerSecond == 0 {
			return connection, err
		}
		return &slowConnection{Conn: connection, bytesPerSecond: bytesPerSecond}, nil
	}))
	client, err := clientv3.New(config)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	writing, stop := context.WithCancel(ctx)
	defer stop()
	writes := make(chan writeTimes, 1)
	go func() { writes <- writeUntilDone(writing, writer) }()
	began := time.Now()
	bytes, err := read(ctx, client, size)
	took := time.Since(began)
	// A read of a millisecond has had no writes beside it.
	time.Sleep(20 * probePause)
	stop()
	times := <-writes
	if err == nil {
		err = times.err
	}
	return map[string]any{
		"bytes": bytes, "connections": dials.Load(), "readMs": took.Milliseconds(), "writes": len(times.took),
		"writeP99Ms": times.quantile(0.99).Milliseconds(), "writeMaxMs": times.quantile(1).Milliseconds(),
	}, err
}

// slowConnection passes on no more than this many bytes a second.
type slowConnection struct {
	net.Conn
	bytesPerSecond int
}

func (c *slowConnection) Read(buffer []byte) (int, error) {
	const slices = 50
	count, err := c.Conn.Read(buffer[:min(len(buffer), max(1, c.bytesPerSecond/slices))])
	time.Sleep(time.Duration(count) * time.Second / time.Duration(c.bytesPerSecond))
	return count, err
}

type writeTimes struct {
	took []time.Duration
	err  error
}

func writeUntilDone(ctx context.Context, client *clientv3.Client) writeTimes {
	var times writeTimes
	for ctx.Err() == nil {
		began := time.Now()
		// Not with ctx: the last write must complete, too.
		if _, err := client.Put(context.WithoutCancel(ctx), "beside", "x"); err != nil {
			times.err = err
			return times
		}
		times.took = append(times.took, time.Since(began))
		time.Sleep(probePause)
	}
	return times
}

func (t writeTimes) quantile(share float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.took))
	return sorted[int(share*float64(len(sorted)-1))]
}
