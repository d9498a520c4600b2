package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"
)

// recipes are what the client builds from keys, leases and watches. Parameters: contenders, rounds (of each contender).
func recipes(ctx context.Context, run *run) (any, error) {
	contenders, err := run.number("contenders", 4)
	if err != nil {
		return nil, err
	}
	rounds, err := run.number("rounds", 10)
	if err != nil {
		return nil, err
	}
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	return inParts([]part{
		{"mutex", func() (any, error) { return mutex(ctx, client, contenders, rounds) }},
		{"tryLock", func() (any, error) { return tryLock(ctx, client) }},
		{"election", func() (any, error) { return election(ctx, client, contenders) }},
		{"stm", func() (any, error) { return transfers(ctx, client, contenders, rounds) }},
		{"session", func() (any, error) { return lostSession(ctx, client) }},
		{"queue", func() (any, error) { return queue(client, contenders, rounds) }},
		{"readWrite", func() (any, error) { return readWriteLock(client) }},
		{"barrier", func() (any, error) { return doubleBarrier(client, contenders) }},
	})
}

// atOnce runs the contenders and returns the first error.
func atOnce(contenders int, act func(contender int) error) error {
	failures := make([]error, contenders)
	var group sync.WaitGroup
	for contender := range contenders {
		group.Go(func() { failures[contender] = act(contender) })
	}
	group.Wait()
	return errors.Join(failures...)
}

// Each contender reads a counter and writes it back: an update is lost as soon as two hold the lock.
func mutex(ctx context.Context, client *clientv3.Client, contenders, rounds int) (any, error) {
	var inside atomic.Int32
	err := atOnce(contenders, func(int) error {
		session, err := concurrency.NewSession(client)
		if err != nil {
			return err
		}
		defer session.Close()
		lock := concurrency.NewMutex(session, "mutex")
		for range rounds {
			if err := lock.Lock(ctx); err != nil {
				return err
			}
			if inside.Add(1) != 1 {
				return errors.New("two hold the lock")
			}
			owned, err := client.Txn(ctx).If(lock.IsOwner()).Then(clientv3.OpGet("mutex-counter")).Commit()
			if err != nil {
				return err
			}
			if !owned.Succeeded {
				return errors.New("the holder is not the owner")
			}
			count := 0
			if kvs := owned.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
				count, _ = strconv.Atoi(string(kvs[0].Value))
			}
			if _, err := client.Put(ctx, "mutex-counter", strconv.Itoa(count+1)); err != nil {
				return err
			}
			inside.Add(-1)
			if err := lock.Unlock(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	counted, err := client.Get(ctx, "mutex-counter")
	if err != nil {
		return nil, err
	}
	queued, err := client.Get(ctx, "mutex/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return nil, err
	}
	_, err = client.Delete(ctx, "mutex-counter")
	return map[string]any{"counter": string(counted.Kvs[0].Value), "queued": queued.Count}, err
}

func tryLock(ctx context.Context, client *clientv3.Client) (any, error) {
	holder, err := concurrency.NewSession(client)
	if err != nil {
		return nil, err
	}
	defer holder.Close()
	other, err := concurrency.NewSession(client)
	if err != nil {
		return nil, err
	}
	defer other.Close()
	held, wanted := concurrency.NewMutex(holder, "try"), concurrency.NewMutex(other, "try")
	if err := held.TryLock(ctx); err != nil {
		return nil, err
	}
	refused := wanted.TryLock(ctx)
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	waited := wanted.Lock(short)
	if err := held.Unlock(ctx); err != nil {
		return nil, err
	}
	return map[string]any{
		"refused": errorText(refused), "waited": errorText(waited), "then": errorText(wanted.TryLock(ctx)),
	}, nil
}

// Each contender leads once; an observer sees all of them, one after the other.
func election(ctx context.Context, client *clientv3.Client, contenders int) (any, error) {
	watcher, err := concurrency.NewSession(client)
	if err != nil {
		return nil, err
	}
	defer watcher.Close()
	observeCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	observed := concurrency.NewElection(watcher, "election").Observe(observeCtx)
	var leading atomic.Int32
	seen := make(chan string, contenders)
	go func() {
		for answer := range observed {
			seen <- string(answer.Kvs[0].Value)
		}
	}()
	names := map[string]bool{}
	err = atOnce(contenders, func(contender int) error {
		session, err := concurrency.NewSession(client)
		if err != nil {
			return err
		}
		defer session.Close()
		candidate := concurrency.NewElection(session, "election")
		if err := candidate.Campaign(ctx, fmt.Sprintf("candidate %d", contender)); err != nil {
			return err
		}
		if leading.Add(1) != 1 {
			return errors.New("two lead")
		}
		leader, err := candidate.Leader(ctx)
		if err != nil {
			return err
		}
		if string(leader.Kvs[0].Value) != fmt.Sprintf("candidate %d", contender) {
			return fmt.Errorf("%s leads instead of candidate %d", leader.Kvs[0].Value, contender)
		}
		// An observer may miss a leader that resigns at once.
		select {
		case name := <-seen:
			names[name] = true
		case <-time.After(watchLimit):
			return errors.New("the observer reported nothing")
		}
		leading.Add(-1)
		return candidate.Resign(ctx)
	})
	if err != nil {
		return nil, err
	}
	session, err := concurrency.NewSession(client)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	last := concurrency.NewElection(session, "election")
	_, none := last.Leader(ctx)
	if err := last.Campaign(ctx, "last"); err != nil {
		return nil, err
	}
	if err := last.Proclaim(ctx, "proclaimed"); err != nil {
		return nil, err
	}
	leader, err := last.Leader(ctx)
	if err != nil {
		return nil, err
	}
	resumed := concurrency.ResumeElection(session, "election", last.Key(), last.Rev())
	if err := resumed.Resign(ctx); err != nil {
		return nil, err
	}
	return map[string]any{
		"observed": len(names), "none": errorText(none), "proclaimed": string(leader.Kvs[0].Value),
		"lost": errorText(last.Proclaim(ctx, "too late")),
	}, nil
}

// Money goes to and fro between accounts at every isolation that forbids lost updates; none appears or disappears.
func transfers(ctx context.Context, client *clientv3.Client, contenders, rounds int) (any, error) {
	const accounts, each = 5, 100
	account := func(at int) string { return fmt.Sprintf("stm/%d", at%accounts) }
	for at := range accounts {
		if _, err := client.Put(ctx, account(at), strconv.Itoa(each)); err != nil {
			return nil, err
		}
	}
	isolations := []concurrency.Isolation{
		concurrency.SerializableSnapshot, concurrency.Serializable, concurrency.RepeatableReads,
	}
	err := atOnce(contenders, func(contender int) error {
		for round := range rounds {
			from, to := account(contender+round), account(contender+2*round+1)
			transfer := func(stm concurrency.STM) error {
				if from == to {
					return nil
				}
				had, _ := strconv.Atoi(stm.Get(from))
				has, _ := strconv.Atoi(stm.Get(to))
				stm.Put(from, strconv.Itoa(had-1))
				stm.Put(to, strconv.Itoa(has+1))
				return nil
			}
			isolation := concurrency.WithIsolation(isolations[round%len(isolations)])
			if _, err := concurrency.NewSTM(client, transfer, isolation, concurrency.WithAbortContext(ctx)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	answer, err := client.Get(ctx, "stm/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	sum, balances := 0, []string{}
	for _, kv := range answer.Kvs {
		balance, _ := strconv.Atoi(string(kv.Value))
		sum += balance
		balances = append(balances, string(kv.Value))
	}
	return map[string]any{"sum": sum, "balances": balances}, nil
}

// A session whose lease is revoked is done, and its lock is free.
func lostSession(ctx context.Context, client *clientv3.Client) (any, error) {
	session, err := concurrency.NewSession(client, concurrency.WithTTL(30))
	if err != nil {
		return nil, err
	}
	lock := concurrency.NewMutex(session, "lost")
	if err := lock.Lock(ctx); err != nil {
		return nil, err
	}
	if _, err := client.Revoke(ctx, session.Lease()); err != nil {
		return nil, err
	}
	next, err := concurrency.NewSession(client)
	if err != nil {
		return nil, err
	}
	defer next.Close()
	if err := concurrency.NewMutex(next, "lost").Lock(ctx); err != nil {
		return nil, err
	}
	owner, err := client.Txn(ctx).If(lock.IsOwner()).Commit()
	if err != nil {
		return nil, err
	}
	session.Orphan()
	return map[string]any{"stillOwner": owner.Succeeded}, nil
}

// Everything that was put into the queue is taken out once.
func queue(client *clientv3.Client, contenders, rounds int) (any, error) {
	var sum atomic.Int64
	err := atOnce(2*contenders, func(contender int) error {
		line := recipe.NewQueue(client, "queue")
		for round := range rounds {
			if contender%2 == 0 {
				if err := line.Enqueue(strconv.Itoa(contender*rounds + round)); err != nil {
					return err
				}
				continue
			}
			text, err := line.Dequeue()
			if err != nil {
				return err
			}
			value, _ := strconv.Atoi(text)
			sum.Add(int64(value))
		}
		return nil
	})
	return map[string]any{"sum": sum.Load()}, err
}

func readWriteLock(client *clientv3.Client) (any, error) {
	order := make(chan string, 4)
	var readers atomic.Int32
	lock := func(name string, act func(*recipe.RWMutex) error) error {
		session, err := concurrency.NewSession(client)
		if err != nil {
			return err
		}
		defer session.Close()
		if err := act(recipe.NewRWMutex(session, "read-write")); err != nil {
			return err
		}
		order <- name
		return nil
	}
	err := atOnce(3, func(contender int) error {
		if contender == 2 {
			for readers.Load() < 2 {
				time.Sleep(time.Millisecond)
			}
			return lock("write", func(mutex *recipe.RWMutex) error {
				if err := mutex.Lock(); err != nil {
					return err
				}
				if readers.Load() != 0 {
					return errors.New("a reader was let in beside the writer")
				}
				return mutex.Unlock()
			})
		}
		return lock("read", func(mutex *recipe.RWMutex) error {
			if err := mutex.RLock(); err != nil {
				return err
			}
			readers.Add(1)
			// Both readers hold the lock at the same time, or this never ends.
			for readers.Load() < 2 {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(50 * time.Millisecond)
			readers.Add(-1)
			return mutex.RUnlock()
		})
	})
	if err != nil {
		return nil, err
	}
	return []string{<-order, <-order, <-order}, nil
}

func doubleBarrier(client *clientv3.Client, contenders int) (any, error) {
	var entered, leaving atomic.Int32
	err := atOnce(contenders, func(int) error {
		session, err := concurrency.NewSession(client)
		if err != nil {
			return err
		}
		defer session.Close()
		barrier := recipe.NewDoubleBarrier(session, "barrier", contenders)
		entered.Add(1)
		if err := barrier.Enter(); err != nil {
			return err
		}
		if int(entered.Load()) != contenders {
			return errors.New("one went through the barrier before all were there")
		}
		leaving.Add(1)
		if err := barrier.Leave(); err != nil {
			return err
		}
		if int(leaving.Load()) != contenders {
			return errors.New("one left before all were done")
		}
		return nil
	})
	return map[string]any{"through": entered.Load()}, err
}
