/** What a request needs of hosts, checked before anything changes: over ssh, and by haplan's program where it is there. */
import { hostPrograms } from "../../artifact/artifact-entries.ts";
import type { Diagnostic } from "../../base/diagnostic.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { MachineCalls } from "../machine-calls.ts";
import { withoutInstalled } from "../missing-programs.ts";
import type { CheckReport, PreflightRequest } from "../provider.ts";
import type { ProviderOptions } from "../provider-options.ts";
import { checkSshHosts, unreachedHost } from "./check-ssh-hosts.ts";
import { onEachHost } from "./each-host.ts";
import type { EtcdArchive } from "./etcd-archive.ts";
import type { HostDirectory, KnownHost } from "./host-directory.ts";
import type { HostSessions } from "./host-sessions.ts";
import type { Host } from "./upload-artifact.ts";

type Parts = {
  readonly options: Pick<ProviderOptions, "spec" | "clock"> & { readonly calls: MachineCalls };
  readonly directory: HostDirectory;
  readonly sessions: HostSessions;
  /** Null if haplan brings no etcd to the hosts. */
  readonly etcd: EtcdArchive | null;
};

export class HostPreflight {
  readonly #options: Parts["options"];
  readonly #directory: HostDirectory;
  readonly #sessions: HostSessions;
  readonly #etcd: EtcdArchive | null;

  constructor({ options, directory, sessions, etcd }: Parts) {
    this.#options = options;
    this.#directory = directory;
    this.#sessions = sessions;
    this.#etcd = etcd;
  }

  async check(request: PreflightRequest, signal?: AbortSignal): Promise<CheckReport> {
    const { spec, calls, clock } = this.#options;
    const hosts = this.#hostsOf(request);
    const balancers = this.#directory.hostsNamed(request.virtualAddress?.machines ?? []);
    const reach = (host: KnownHost, given: AbortSignal): Promise<Host> => this.#sessions.reach(host, given);
    const installsOf = (machine: string): readonly string[] => this.#installsOn(machine);
    const changed = [...request.machines.map(({ name }) => name), ...request.units.map(({ machine }) => machine)];
    const unfit = (await this.#etcd?.diagnose(changed)) ?? [];
    if (unfit.length > 0) return { hosts: [], diagnostics: unfit };
    const asked = { cluster: spec.name, hosts, balancers, request };
    const report = await checkSshHosts({ ...asked, calls, clock, signal, reach, installsOf });
    if (report.diagnostics.some(({ severity }) => severity === "error")) return report;
    const found: Diagnostic[] = [];
    await onEachHost(calls, { call: "preflight", hosts, signal }, async (host, given) => {
      const machines = request.machines.filter(({ name }) => host.machines.includes(name));
      // What the machines are on the host, and versions of programs, are known there alone; the rest has been checked.
      const units = request.units
        .filter(({ machine }) => host.machines.includes(machine))
        .map(({ machine, unit }) => ({ machine, unit: { ...unit, listens: [], arguments: [] } }));
      if (machines.length + units.length === 0) return;
      const rest = { machines, units, space: [], network: [], certificateAgeMs: null };
      const unfit = await this.#sessions
        .find(host, given)
        .then(async (session) => (await session?.preflight(rest, given)) ?? [])
        .catch((error: unknown): readonly Diagnostic[] => {
          if (error instanceof HaplanError && isConnectionLost(error)) return [unreachedHost(host, error)];
          throw error;
        });
      // Its own programs haplan installs as well, where they are not there.
      found.push(...withoutInstalled(unfit, [...host.machines.flatMap(installsOf), ...hostPrograms]));
    });
    return { ...report, diagnostics: [...found, ...report.diagnostics] };
  }

  /** The programs that haplan puts on the host of a machine before a unit needs them. */
  #installsOn(machine: string): readonly string[] {
    const uploaded = this.#etcd?.isFor([machine]) === true ? [this.#etcd.binary] : [];
    return [...this.#directory.packagesOf(machine), ...uploaded];
  }

  /** The hosts of all machines of the request, each with their names. */
  #hostsOf({ machines, units, network }: PreflightRequest): readonly KnownHost[] {
    const named = [
      ...machines.map(({ name }) => name),
      ...units.map(({ machine }) => machine),
      ...network.flatMap(({ from, to }) => (from === null ? [to] : [from, to])),
    ];
    return this.#directory.wantedHostsOf(named);
  }
}

function isConnectionLost({ code }: HaplanError): boolean {
  return code === "provider/connection-lost" || code.startsWith("ssh/");
}
