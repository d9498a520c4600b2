/** Which host each machine is on: as the spec says, and, for machines that only the state has, as it was recorded. Pure. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { Attributes } from "../../plan/resource.ts";
import type { BegunMachine, MachineRef } from "../provider.ts";
import { type SshRoute, targetOf } from "./ssh-model.ts";
import type { SshTarget } from "./ssh-target.ts";

export type HostedMachine = {
  readonly name: string;
  /** Null for a machine that the spec asks for: the newest of its name. */
  readonly generation: number | null;
  readonly attributes: Attributes;
  /** Another machine of its name has replaced it, elsewhere. */
  readonly leftBehind?: boolean;
};

type FoundMachine = { readonly name: string; readonly generation: number };

export type KnownHost = {
  readonly key: string;
  readonly target: SshTarget;
  readonly machines: readonly string[];
  /** What is unreachable with the host: its machines, and those that it was left with as `name@generation`. */
  readonly unreachableAs: readonly string[];
  /** Machines that the spec has on this host, and the state on another one. */
  readonly newHostOf: readonly string[];
};

export class HostDirectory {
  readonly #route: SshRoute;
  readonly #machines: HostedMachine[];
  #absent: ReadonlySet<string> = new Set();
  /** The hosts that machines were found on, by `name@generation`. */
  readonly #found: Map<string, KnownHost> = new Map();

  /** `wanted`: the spec's machines; `recorded`: the state's. */
  constructor(wanted: readonly HostedMachine[], recorded: readonly HostedMachine[], route: SshRoute) {
    this.#route = route;
    this.#machines = [...recorded, ...wanted];
  }

  /** A machine that is made now, or whose host is reached in another way from now on. */
  add(machine: HostedMachine): void {
    this.#machines.push(machine);
  }

  /** A machine of the spec whose host turned out to be reached in another way: its host key is known now. */
  learn(name: string, attributes: Attributes): void {
    for (const [at, machine] of this.#machines.entries()) {
      if (machine.name === name && machine.generation === null) this.#machines[at] = { ...machine, attributes };
    }
  }

  /** A machine that was found on a host, whatever spec and state say of it. */
  noteFound({ name, generation }: FoundMachine, host: KnownHost): void {
    this.#found.set(`${name}@${generation}`, { ...host, machines: [name], unreachableAs: [name] });
  }

  /** Machines whose hosts do not exist: they are not asked. */
  setAbsent(names: ReadonlySet<string>): void {
    this.#absent = names;
  }

  /** Whether a machine is the provider's: adopted members are not. */
  has(name: string): boolean {
    return this.#machines.some((machine) => machine.name === name);
  }

  rename(from: string, to: string): void {
    for (const [at, machine] of this.#machines.entries()) {
      if (machine.name === from) this.#machines[at] = { ...machine, name: to };
    }
  }

  /**
   * The host of a machine. What was said last holds: how the spec reaches a host also reaches what is there already. A machine
   * that the spec has on another host is on its present one until it is made there.
   * @throws HaplanError `provider/no-machine` for a machine that neither spec nor state has
   */
  hostOf(machine: MachineRef): KnownHost {
    const [name, generation] = typeof machine === "string" ? [machine, null] : [machine.name, machine.generation];
    const found = this.#found.get(`${name}@${generation}`);
    if (found !== undefined) return found;
    const named = this.#machines.filter((each) => each.name === name);
    const exact = named.filter((each) => generation !== null && each.generation === generation);
    const last = (exact.length > 0 ? exact : named).at(-1);
    const isToMove = generation === null && last?.generation === null;
    return this.#known(name, isToMove ? (presentOf(named, last) ?? last) : last);
  }

  /**
   * The host that the spec has a machine on; of one that it does not have, the present host.
   * @throws HaplanError as `hostOf`
   */
  wantedHostOf(name: string): KnownHost {
    return this.#known(
      name,
      this.#machines.findLast((each) => each.name === name),
    );
  }

  /** The hosts that these machines are on at present, each once, with their names. Machines that are not asked have none. */
  presentHostsOf(names: readonly string[]): readonly KnownHost[] {
    return this.#grouped(
      names.filter((name) => !this.#absent.has(name)),
      (name) => this.hostOf(name),
    );
  }

  /** The hosts that the spec has these machines on, each once, with their names. */
  wantedHostsOf(names: readonly string[]): readonly KnownHost[] {
    return this.#grouped(names, (name) => this.wantedHostOf(name));
  }

  #grouped(names: readonly string[], hostOf: (name: string) => KnownHost): readonly KnownHost[] {
    const hosts = new Map<string, KnownHost>();
    for (const name of new Set(names)) {
      if (!this.has(name)) continue;
      const host = hostOf(name);
      hosts.set(host.key, { ...host, machines: [...(hosts.get(host.key)?.machines ?? []), name] });
    }
    return [...hosts.values()];
  }

  #known(name: string, found: HostedMachine | undefined): KnownHost {
    const target = found === undefined ? null : this.#reach(found);
    if (target === null) throw new HaplanError("provider/no-machine", `No host is known for machine "${name}"`);
    return { key: keyOf(target), target, machines: [name], unreachableAs: [name], newHostOf: [] };
  }

  /** The programs that haplan installs for a machine of the spec. */
  packagesOf(machine: string): readonly string[] {
    const wanted = this.#machines.find(({ name, generation }) => generation === null && name === machine);
    const packages = wanted?.attributes["packages"];
    return Array.isArray(packages) ? packages.map(String) : [];
  }

  /** Every host once, with the names of its machines. */
  hosts(): readonly KnownHost[] {
    return this.#hostsOf(this.#machines.filter(({ name }) => !this.#absent.has(name)));
  }

  /** Every host that a machine of one of these names is on, or was: where it moves, there are two. */
  hostsNamed(names: readonly string[]): readonly KnownHost[] {
    return this.#hostsOf(this.#machines.filter(({ name }) => names.includes(name)));
  }

  /** The hosts of machines that neither spec nor state needs to have, and with `everywhere` of all others. */
  hostsWith(machines: readonly BegunMachine[], everywhere: boolean): readonly KnownHost[] {
    const begun = machines.map(({ name, generation, attributes = {} }) => ({ name, generation, attributes }));
    return this.#hostsOf([...begun, ...(everywhere ? this.#machines : [])]);
  }

  #hostsOf(asked: readonly HostedMachine[]): readonly KnownHost[] {
    const hosts = new Map<string, KnownHost>();
    for (const machine of asked) {
      const target = this.#reach(machine);
      if (target === null) continue;
      const key = keyOf(target);
      const known = hosts.get(key);
      const { name, generation, leftBehind = false } = machine;
      const machines = [...new Set([...(known?.machines ?? []), name])];
      const own = leftBehind ? `${name}@${generation}` : name;
      const unreachableAs = [...new Set([...(known?.unreachableAs ?? []), own])];
      const moves =
        generation === null &&
        presentOf(
          this.#machines.filter((each) => each.name === name),
          machine,
        );
      const newHostOf = [...(known?.newHostOf ?? []), ...(moves ? [name] : [])];
      hosts.set(key, { key, target, machines, unreachableAs, newHostOf });
    }
    return [...hosts.values()];
  }

  /** A recorded machine is reached as the spec reaches its host, where it still names that host. */
  #reach(machine: HostedMachine): SshTarget | null {
    const host = machine.attributes["ssh_host"];
    const sameHost = this.#machines.filter((each) => each.generation === null && each.attributes["ssh_host"] === host);
    const wanted = sameHost.find(({ name }) => name === machine.name) ?? sameHost[0];
    return targetOf((machine.generation === null ? machine : (wanted ?? machine)).attributes, this.#route);
  }
}

/** The newest one that was recorded, if it is on another host than the wanted one. */
function presentOf(named: readonly HostedMachine[], wanted: HostedMachine): HostedMachine | undefined {
  const [newest] = named
    .filter(({ generation, leftBehind = false }) => generation !== null && !leftBehind)
    .sort((a, b) => b.generation! - a.generation!);
  return newest?.attributes["ssh_host"] === wanted.attributes["ssh_host"] ? undefined : newest;
}

/**
 * Two targets with one key share a session. A machine that asks for another key of the host, or for another user, has a
 * session of its own.
 */
function keyOf({ host, user, port, identityFile, jump, proxyCommand, hostKey }: SshTarget): string {
  return JSON.stringify([host, port, user, identityFile, jump, proxyCommand, hostKey]);
}
