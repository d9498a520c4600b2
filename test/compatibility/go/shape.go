package main

import "go.etcd.io/etcd/api/v3/mvccpb"

// keyShape is what two servers with the same history must agree on, whatever the revision they began with.
type keyShape struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Version int64  `json:"version"`
	Leased  bool   `json:"leased,omitempty"`
	// How many revisions ago, seen from its last change, the key was created.
	Age int64 `json:"age"`
}

func shapeOf(kv *mvccpb.KeyValue) keyShape {
	shape := keyShape{Key: string(kv.Key), Value: string(kv.Value), Version: kv.Version, Leased: kv.Lease != 0}
	// A deletion has no creation.
	if kv.CreateRevision != 0 {
		shape.Age = kv.ModRevision - kv.CreateRevision
	}
	return shape
}

func shapes(kvs []*mvccpb.KeyValue) []keyShape {
	shaped := []keyShape{}
	for _, kv := range kvs {
		shaped = append(shaped, shapeOf(kv))
	}
	return shaped
}

// errorText is empty where there is no error.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
