export type LoadBalancerTargets = {
  /** The name of the load balancer; absent if the cluster has a single one, with a machine of its own. */
  readonly balancer?: string;
  /** Names of masters, sorted. */
  readonly backends: readonly string[];
  /** `host:port` of masters that are not at the address in the spec: those that have yet to move, or that leave. */
  readonly formerTargets?: { readonly [name: string]: string };
  /** The software of the targets, if it is not the spec's: they belong to a cluster that this one is to replace. */
  readonly engine?: "agent" | "etcd";
  /** HAProxy's only target is the relay beside it, which has these targets, and can hold clients: see `relayBlueprint`. */
  readonly throughRelay?: true;
  /** Clients wait: see `LoadBalancerConfig.hold`. */
  readonly hold?: { readonly id: string; readonly forMs: number };
  /** Its current listen address, if its own machine has yet to move; absent if it is the spec's. */
  readonly listensAt?: { readonly address: string; readonly ports: readonly number[] };
};

/** `host:port`; undefined if it is the spec's. A master may have the name of an inherited property: `constructor`. */
export function formerTargetOf({ formerTargets = {} }: LoadBalancerTargets, name: string): string | undefined {
  return Object.hasOwn(formerTargets, name) ? formerTargets[name] : undefined;
}
