/**
 * The load balancer's unit: haplan's own TCP proxy, configured by a JSON file, or a real HAProxy, configured by a
 * rendered template. Both forward bytes (TLS ends at the masters), check each master's health endpoint with the load
 * balancer's client certificate, and close the connections of a master that went down.
 */
import { assert } from "../base/assert.ts";
import { canonicalDigest } from "../base/canonical-json.ts";
import type { CertificateFiles } from "../base/program-config.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { bindAddress, clientPortOf, hostPort, splitHostPort } from "./addresses.ts";
import { hostListen } from "./host-listen.ts";
import { formerTargetOf, type LoadBalancerTargets } from "./load-balancer-targets.ts";
import { blueprintDigest, type UnitBlueprint } from "./unit-blueprint.ts";
import {
  loadBalancerUnitName,
  relayUnitName,
  tlsPaths,
  type UnitDefinition,
  unitDirPlaceholder,
} from "./unit-definition.ts";
import { healthListen, virtualAddressBlueprint } from "./virtual-address.ts";

/** The name of a single load balancer: of its machine, certificate and unit; it is reserved. */
export const loadBalancerName = "load-balancer";

/** The name of the load balancer that `step` is about. */
export function balancerOf({ balancer = loadBalancerName }: { readonly balancer?: string }): string {
  return balancer;
}

/** The configuration that the embedded load balancer reads from `--config`. */
export type LoadBalancerConfig = {
  /** `host:port`. */
  readonly listens: readonly string[];
  readonly backends: readonly { readonly name: string; readonly address: string; readonly port: number }[];
  readonly healthCheck: {
    readonly path: string;
    readonly intervalMs: number;
    readonly timeoutMs: number;
    /** Where backends serve HTTP; absent if at the port for clients. */
    readonly port?: number;
  };
  /** Files for the health checks over TLS; null if TLS is off. */
  readonly tls: CertificateFiles | null;
  /** The API servers of Kubernetes, on a port of their own; absent without Kubernetes. */
  readonly apiServers?: ApiServersConfig;
  /**
   * It listens at a virtual address, which its host has only now and then: it starts without it. `healthListen` is where the
   * host asks whether it serves.
   */
  readonly virtual?: { readonly healthListen: string };
  /**
   * Clients wait: their connections are closed between two calls, and new ones are accepted but not forwarded, until the
   * configuration has no `hold`, or this much time has passed.
   */
  readonly hold?: ClientHoldRequest;
};

export type ClientHoldRequest = {
  /** Another id is another hold, with its whole time: also while clients wait for an earlier one. */
  readonly id: string;
  readonly forMs: number;
};

/**
 * They are checked over TLS without verification: haplan does not have Kubernetes' certificate authority, and clients
 * verify the API server themselves.
 */
export type ApiServersConfig = Pick<LoadBalancerConfig, "listens" | "backends" | "healthCheck">;

export function loadBalancerBlueprint(spec: ClusterSpec, targets: LoadBalancerTargets): UnitBlueprint {
  const config = loadBalancerConfig(spec, targets);
  // No address shows that a load balancer is up, or is taken, that its host may not have.
  const own = [...config.listens, ...(config.apiServers?.listens ?? [])];
  const listens = config.virtual === undefined ? own : [config.virtual.healthListen];
  const certificate = certificateOf(spec, targets);
  if (spec.loadBalancer.type === "embedded")
    return { definition: embeddedUnit(loadBalancerUnitName, config, listens), templates: [], certificate };
  const values = { ...config, ...(targets.throughRelay === undefined ? {} : { relay: relayPlace(spec) }) };
  return {
    definition: {
      name: loadBalancerUnitName,
      environment: {},
      listens,
      program: { kind: "system", command: "haproxy" },
      arguments: ["-W", "-db", "-f", `${unitDirPlaceholder}/haproxy.cfg`],
      files: [],
      // The master process starts a worker with the new configuration and retires the old one.
      reload: { signal: "SIGUSR2", files: ["haproxy.cfg", ...Object.values(tlsPaths)] },
      check: ["-c", "-f", `${unitDirPlaceholder}/haproxy.cfg`],
    },
    templates: [{ path: "haproxy.cfg", template: "haproxy/haproxy.cfg.hbs", values, mode: 0o600 }],
    certificate,
  };
}

/**
 * haplan's own load balancer as the only target of HAProxy, which cannot hold its clients. Null if HAProxy has the targets
 * itself, and for any other load balancer.
 */
export function relayBlueprint(spec: ClusterSpec, targets: LoadBalancerTargets): UnitBlueprint | null {
  if (spec.loadBalancer.type !== "haproxy" || targets.throughRelay === undefined) return null;
  const { listen, healthListen: asked } = relayPlace(spec);
  const config = { ...loadBalancerConfig(spec, targets), listens: [listen], virtual: { healthListen: asked } };
  return {
    definition: embeddedUnit(relayUnitName, config, [listen, asked]),
    templates: [],
    certificate: certificateOf(spec, targets),
  };
}

function relayPlace(spec: ClusterSpec): { readonly listen: string; readonly healthListen: string } {
  return { listen: hostListen(spec, "relay"), healthListen: hostListen(spec, "relay", "health") };
}

function certificateOf({ controlPlane }: ClusterSpec, targets: LoadBalancerTargets): string | null {
  return controlPlane.tls.enabled ? balancerOf(targets) : null;
}

function embeddedUnit(name: string, config: LoadBalancerConfig, listens: readonly string[]): UnitDefinition {
  return {
    name,
    environment: {},
    listens,
    program: { kind: "haplan", command: "haplan-load-balancer" },
    arguments: [`--config=${unitDirPlaceholder}/load-balancer.json`],
    files: [{ path: "load-balancer.json", content: `${JSON.stringify(config, null, 2)}\n`, mode: 0o600 }],
    reload: { signal: "SIGHUP", files: ["load-balancer.json", ...Object.values(tlsPaths)] },
  };
}

/** Digest over the load balancer's configuration with these targets, and that of its virtual address. */
export function loadBalancerConfigDigest(spec: ClusterSpec, targets: LoadBalancerTargets): string {
  const own = blueprintDigest(loadBalancerBlueprint(spec, targets));
  const virtual = virtualAddressBlueprint(spec, balancerOf(targets));
  return virtual === null ? own : canonicalDigest([own, blueprintDigest(virtual)]);
}

/** Its listen addresses and backends, whatever runs it. */
export function loadBalancerConfig(spec: ClusterSpec, targets: LoadBalancerTargets): LoadBalancerConfig {
  const { address, ports } = targets.listensAt ?? spec.loadBalancer;
  const { hosts = [], virtual } = spec.loadBalancer;
  const isHost = hosts.some(({ name }) => name === balancerOf(targets));
  const isVirtual = virtual !== undefined && isHost && targets.listensAt === undefined;
  return {
    listens: ports.map((port) => hostPort(bindAddress(address), port)),
    backends: [...targets.backends].sort().map((name) => ({ name, ...placeOfTarget(spec, targets, name) })),
    // etcd has had `/readyz` only since 3.4.29; `/health` of every version answers 503 without a leader.
    healthCheck: {
      path: (targets.engine ?? spec.controlPlane.engine) === "agent" ? "/readyz?stopping=404" : "/health",
      intervalMs: 500,
      timeoutMs: 1000,
      ...httpPort(spec, targets),
    },
    tls: spec.controlPlane.tls.enabled
      ? {
          caFile: `${unitDirPlaceholder}/${tlsPaths.authority}`,
          certFile: `${unitDirPlaceholder}/${tlsPaths.certificate}`,
          keyFile: `${unitDirPlaceholder}/${tlsPaths.key}`,
        }
      : null,
    ...apiServers(spec, targets),
    ...(targets.hold === undefined ? {} : { hold: targets.hold }),
    ...(isVirtual ? { virtual: { healthListen: healthListen(spec) } } : {}),
  };
}

/** A cluster that this one is to replace has its own ports. */
function httpPort({ controlPlane }: ClusterSpec, targets: LoadBalancerTargets): { readonly port?: number } {
  const port = controlPlane.etcd?.httpPort;
  return port === undefined || targets.engine !== undefined ? {} : { port };
}

/** The masters that are targets, whatever the state of their members: an API server uses all members. */
function apiServers(spec: ClusterSpec, targets: LoadBalancerTargets): Pick<LoadBalancerConfig, "apiServers"> {
  const { kubernetes } = spec;
  if (kubernetes === undefined) return {};
  const { address } = targets.listensAt ?? spec.loadBalancer;
  const backends = [...targets.backends].sort().map((name) => {
    return { name, address: placeOfTarget(spec, targets, name).address, port: kubernetes.apiServerPort };
  });
  const healthCheck = { path: "/readyz", intervalMs: 1000, timeoutMs: 2000 };
  return {
    apiServers: { listens: [hostPort(bindAddress(address), kubernetes.endpointPort)], backends, healthCheck },
  };
}

function placeOfTarget(
  spec: ClusterSpec,
  targets: LoadBalancerTargets,
  name: string,
): { readonly address: string; readonly port: number } {
  const former = formerTargetOf(targets, name);
  if (former !== undefined) return splitHostPort(former);
  const master = spec.controlPlane.masters.find((candidate) => candidate.name === name);
  assert(master !== undefined, `backend ${name} is a master of the spec`);
  return { address: master.address, port: clientPortOf(spec, master) };
}
