package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/snapshot"
	"go.uber.org/zap"
)

// maintenance is what operators request from each member.
func maintenance(ctx context.Context, run *run) (any, error) {
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	return inParts([]part{
		{"members", func() (any, error) { return listedMembers(ctx, client) }},
		{"status", func() (any, error) { return statuses(ctx, client) }},
		{"hashes", func() (any, error) { return hashes(ctx, client) }},
		{"alarms", func() (any, error) { return alarms(ctx, client) }},
		{"defragmented", func() (any, error) { return defragmented(ctx, client) }},
		{"refused", func() (any, error) { return refusedMaintenance(ctx, client) }},
	})
}

func listedMembers(ctx context.Context, client *clientv3.Client) (any, error) {
	list, err := client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	members := []any{}
	for _, member := range list.Members {
		members = append(members, map[string]any{
			"name": member.Name, "peerUrls": len(member.PeerURLs), "clientUrls": len(member.ClientURLs),
			"learner": member.IsLearner,
		})
	}
	return members, nil
}

func statuses(ctx context.Context, client *clientv3.Client) (any, error) {
	leaders := map[uint64]bool{}
	shown := []any{}
	for _, endpoint := range client.Endpoints() {
		status, err := client.Status(ctx, endpoint)
		if err != nil {
			return nil, err
		}
		leaders[status.Leader] = true
		shown = append(shown, map[string]any{
			"hasVersion": status.Version != "", "size": status.DbSize > 0,
			"inUse":   status.DbSizeInUse > 0 && status.DbSizeInUse <= status.DbSize,
			"applied": status.RaftAppliedIndex > 0 && status.RaftAppliedIndex <= status.RaftIndex,
			"term":    status.RaftTerm > 0, "learner": status.IsLearner, "errors": len(status.Errors),
		})
	}
	return map[string]any{"leaders": len(leaders), "members": shown}, nil
}

// All members have the same hash of one revision, and another one after a change.
func hashes(ctx context.Context, client *clientv3.Client) (any, error) {
	put, err := client.Put(ctx, "hashed", fmt.Sprint(time.Now()))
	if err != nil {
		return nil, err
	}
	same := map[uint32]bool{}
	for _, endpoint := range client.Endpoints() {
		for {
			answer, err := client.HashKV(ctx, endpoint, put.Header.Revision)
			if err != nil {
				if err.Error() == "etcdserver: mvcc: required revision is a future revision" {
					continue
				}
				return nil, err
			}
			same[answer.Hash] = true
			break
		}
	}
	if _, err = client.Put(ctx, "hashed", "changed"); err != nil {
		return nil, err
	}
	endpoint := client.Endpoints()[0]
	later, err := client.HashKV(ctx, endpoint, 0)
	if err != nil {
		return nil, err
	}
	_, future := client.HashKV(ctx, endpoint, put.Header.Revision+1_000_000)
	return map[string]any{
		"hashes": len(same), "changed": !same[later.Hash], "future": errorText(future),
		"ofRevision": later.HashRevision - put.Header.Revision,
	}, nil
}

func alarms(ctx context.Context, client *clientv3.Client) (any, error) {
	list, err := client.AlarmList(ctx)
	if err != nil {
		return nil, err
	}
	disarmed, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	if err != nil {
		return nil, err
	}
	return map[string]any{"listed": len(list.Alarms), "disarmed": len(disarmed.Alarms)}, nil
}

func defragmented(ctx context.Context, client *clientv3.Client) (any, error) {
	for _, endpoint := range client.Endpoints() {
		if _, err := client.Defragment(ctx, endpoint); err != nil {
			return nil, err
		}
	}
	return len(client.Endpoints()), nil
}

func refusedMaintenance(ctx context.Context, client *clientv3.Client) (any, error) {
	refusals := map[string]string{}
	_, err := client.MoveLeader(ctx, 4711)
	refusals["move leader to no member"] = errorText(err)
	_, err = client.MemberRemove(ctx, 4711)
	refusals["remove no member"] = errorText(err)
	_, err = client.MemberUpdate(ctx, 4711, []string{"http://127.0.0.1:1"})
	refusals["update no member"] = errorText(err)
	_, err = client.MemberPromote(ctx, 4711)
	refusals["promote no member"] = errorText(err)
	list, err := client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	_, err = client.MemberAdd(ctx, list.Members[0].PeerURLs)
	refusals["add a member that is there"] = errorText(err)
	_, err = client.MemberPromote(ctx, list.Members[0].ID)
	refusals["promote a voter"] = errorText(err)
	return refusals, nil
}

// moveLeader makes each member the leader in turn, sending the request to the current leader as etcdctl does.
func moveLeader(ctx context.Context, run *run) (any, error) {
	asked, err := run.client()
	if err != nil {
		return nil, err
	}
	list, err := asked.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	moved, refused := 0, map[string]int{}
	for _, target := range list.Members {
		leader, other := "", ""
		for _, endpoint := range asked.Endpoints() {
			status, err := asked.Status(ctx, endpoint)
			if err != nil {
				return nil, err
			}
			if status.Leader == status.Header.MemberId {
				leader = endpoint
			} else {
				other = endpoint
			}
		}
		follower, err := run.client(other)
		if err != nil {
			return nil, err
		}
		_, err = follower.MoveLeader(ctx, target.ID)
		refused[errorText(err)]++
		client, err := run.client(leader)
		if err != nil {
			return nil, err
		}
		if _, err = client.MoveLeader(ctx, target.ID); err != nil {
			return nil, err
		}
		for _, endpoint := range asked.Endpoints() {
			status, err := asked.Status(ctx, endpoint)
			if err != nil {
				return nil, err
			}
			if status.Header.MemberId == target.ID && status.Leader == target.ID {
				moved++
			}
		}
	}
	return map[string]any{"moved": moved, "members": len(list.Members), "atFollower": refused}, nil
}

// saveSnapshot writes the file as etcdctl does, and reads the same stream whole. Parameter: file.
func saveSnapshot(ctx context.Context, run *run) (any, error) {
	name, password := run.credentials()
	config, err := run.config(name, password, run.endpoints[:1])
	if err != nil {
		return nil, err
	}
	file := run.parameters["file"]
	version, err := snapshot.SaveWithVersion(ctx, zap.NewNop(), config, file)
	if err != nil {
		return nil, err
	}
	saved, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	client, err := run.client(run.endpoints[0])
	if err != nil {
		return nil, err
	}
	stream, err := client.SnapshotWithVersion(ctx)
	if err != nil {
		return nil, err
	}
	read, err := io.ReadAll(stream.Snapshot)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"hasVersion": version != "" && version == stream.Version, "digestsMatch": digestsMatch(saved) && digestsMatch(read),
		"pages": (len(saved)-sha256.Size)%512 == 0,
	}, nil
}

// The last 32 bytes are the digest of all the others.
func digestsMatch(file []byte) bool {
	if len(file) < sha256.Size {
		return false
	}
	body, digest := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	own := sha256.Sum256(body)
	return hex.EncodeToString(own[:]) == hex.EncodeToString(digest)
}
