export type LoadBalancerTargets = {
  /** Names of masters, sorted. */
  readonly backends: readonly string[];
  /** `host:port` of those that are not where the spec has them: masters that have yet to move, or that leave. */
  readonly formerTargets?: { readonly [name: string]: string };
  /** Where it still listens, when its own machine has yet to move; absent where the spec has it. */
  readonly listensAt?: { readonly address: string; readonly ports: readonly number[] };
};

/** `host:port`; undefined where it is the spec's. Masters may be named as what every object inherits: `constructor`. */
export function formerTargetOf({ formerTargets = {} }: LoadBalancerTargets, name: string): string | undefined {
  return Object.hasOwn(formerTargets, name) ? formerTargets[name] : undefined;
}
