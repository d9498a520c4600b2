package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// run is the command line: where the cluster is, and the scenario's own parameters.
type run struct {
	endpoints  []string
	user       string
	tls        transport.TLSInfo
	parameters map[string]string
	clients    []*clientv3.Client
}

func newRun(arguments []string) (*run, error) {
	r := &run{parameters: map[string]string{}}
	flags := flag.NewFlagSet("compatibility", flag.ContinueOnError)
	endpoints := flags.String("endpoints", "", "client URLs, separated by commas")
	flags.StringVar(&r.user, "user", "", "NAME:PASSWORD")
	flags.StringVar(&r.tls.TrustedCAFile, "cacert", "", "CA of the servers")
	flags.StringVar(&r.tls.CertFile, "cert", "", "client certificate")
	flags.StringVar(&r.tls.KeyFile, "key", "", "key of the client certificate")
	flags.Func("set", "a parameter of the scenario, NAME=VALUE", func(text string) error {
		name, value, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("%q is not NAME=VALUE", text)
		}
		r.parameters[name] = value
		return nil
	})
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if *endpoints == "" {
		return nil, errors.New("-endpoints is missing")
	}
	r.endpoints = strings.Split(*endpoints, ",")
	return r, nil
}

// client connects to all endpoints, or to the given ones. It is closed when the scenario is over.
func (r *run) client(endpoints ...string) (*clientv3.Client, error) {
	name, password := r.credentials()
	return r.clientAs(name, password, endpoints...)
}

func (r *run) credentials() (name, password string) {
	name, password, _ = strings.Cut(r.user, ":")
	return name, password
}

func (r *run) clientAs(name, password string, endpoints ...string) (*clientv3.Client, error) {
	if len(endpoints) == 0 {
		endpoints = r.endpoints
	}
	config, err := r.config(name, password, endpoints)
	if err != nil {
		return nil, err
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, err
	}
	r.clients = append(r.clients, client)
	return client, nil
}

// config is the client's configuration, for scenarios that create their own client.
func (r *run) config(name, password string, endpoints []string) (clientv3.Config, error) {
	config := clientv3.Config{
		Endpoints:   endpoints,
		Username:    name,
		Password:    password,
		DialTimeout: 5 * time.Second,
		Logger:      zap.NewNop(),
	}
	if !r.tls.Empty() {
		tls, err := r.tls.ClientConfig()
		if err != nil {
			return config, err
		}
		config.TLS = tls
	}
	return config, nil
}

// number reads a parameter that has a default.
func (r *run) number(name string, otherwise int) (int, error) {
	text, given := r.parameters[name]
	if !given {
		return otherwise, nil
	}
	return strconv.Atoi(text)
}

// report reports progress to the test.
func (r *run) report(event string) {
	printLine(map[string]any{"event": event})
}

func (r *run) close() {
	for _, client := range r.clients {
		_ = client.Close()
	}
}

// part is a piece of a scenario; its results stand under its name.
type part struct {
	name string
	act  func() (any, error)
}

func inParts(parts []part) (any, error) {
	results := map[string]any{}
	for _, part := range parts {
		result, err := part.act()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		results[part.name] = result
	}
	return results, nil
}
