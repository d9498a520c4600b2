/**
 * Checks hosts over one ssh connection each, whether haplan is installed there or not: gathers their facts, tries the
 * connections between them, and applies the table of checks.
 */
import type { Clock } from "../../base/clock.ts";
import type { Diagnostic } from "../../base/diagnostic.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { dataDir, installDir } from "../../base/host-paths.ts";
import { factsScript } from "../../host/facts-script.ts";
import type { HostFacts } from "../../host/host-facts.ts";
import { parseFacts } from "../../host/parse-facts.ts";
import { checkHosts, requiredTools } from "../host-checks.ts";
import { type HostToCheck, labelOf, type MachineToCheck } from "../hosts-to-check.ts";
import type { MachineCalls } from "../machine-calls.ts";
import { usedPaths } from "../path-checks.ts";
import type { CheckReport, PreflightRequest } from "../provider.ts";
import { type FoundHolder, findHolder } from "./find-holder.ts";
import type { KnownHost } from "./host-directory.ts";
import { type ClockReading, RemoteShell } from "./remote-shell.ts";
import { tryPaths } from "./try-paths.ts";
import type { Host } from "./upload-artifact.ts";

export type HostsRequest = {
  readonly cluster: string;
  /** With the names of its machines. */
  readonly hosts: readonly KnownHost[];
  /** Those of the load balancers that share the virtual address, or did: of them it is asked alone which one has it. */
  readonly balancers: readonly KnownHost[];
  readonly request: PreflightRequest;
  readonly calls: MachineCalls;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  readonly reach: (host: KnownHost, signal: AbortSignal) => Promise<Host>;
  /** The programs that haplan installs for a machine. */
  readonly installsOf: (machine: string) => readonly string[];
};

const factsMs = 60_000;
const holderMs = 15_000;

type Visited = {
  readonly host: KnownHost;
  readonly shell: RemoteShell;
  readonly facts: HostFacts;
  readonly clock: ClockReading | null;
};

type Unreached = { readonly host: KnownHost; readonly error: HaplanError };

export async function checkSshHosts(given: HostsRequest): Promise<CheckReport> {
  const { cluster, request, hosts } = given;
  const opened: RemoteShell[] = [];
  try {
    const own = new Set(hosts.map(({ key }) => key));
    const others = given.balancers.filter(({ key }) => !own.has(key)).map((host) => ({ ...host, machines: [] }));
    const [found, ofOthers] = await Promise.all([
      Promise.all(hosts.map((host) => visit(given, host, opened))),
      Promise.all(others.map((host) => visit(given, host, opened))),
    ]);
    const visited = found.filter(isVisited);
    const unreached = found.filter((each): each is Unreached => "error" in each);
    const paths = await tryPaths({
      cluster,
      paths: request.network,
      hostOf: hostFinder(visited, hosts),
      onHost: ({ host }, work) => given.calls.run({ what: `check the network of ${host}`, signal: given.signal }, work),
    });
    const { certificateAgeMs } = request;
    // Others are only at the other end of a connection: the plan says of them what is to be said.
    const changed = new Set([
      ...request.machines.map(({ name }) => name),
      ...request.units.map(({ machine }) => machine),
    ]);
    const missed = unreached.filter(({ host }) => host.machines.some((name) => changed.has(name)));
    const toCheck = visited.map((each) => hostToCheck(each, given));
    const { takenAddress, untoldAddress } = await holderOf(given, [...visited, ...ofOthers.filter(isVisited)]);
    const diagnostics = checkHosts({
      cluster,
      certificateAgeMs,
      hosts: toCheck,
      paths,
      ...(request.virtualAddress === undefined ? {} : { virtualAddress: request.virtualAddress }),
      ...(takenAddress === undefined ? {} : { takenAddress }),
      // Once the hosts that were missed are reached, it is asked again.
      ...(untoldAddress === undefined || missed.length > 0 ? {} : { untoldAddress }),
    });
    return {
      hosts: visited.map(({ host, facts, clock }) => ({
        host: host.target.host,
        machines: host.machines,
        facts,
        clockOffsetMs: clock?.offsetMs ?? null,
      })),
      diagnostics: [...missed.map(({ host, error }) => unreachedHost(host, error)), ...diagnostics],
    };
  } finally {
    await Promise.all(opened.map((shell) => shell.close()));
  }
}

function isVisited(found: Visited | Unreached): found is Visited {
  return "facts" in found;
}

async function visit(
  { cluster, calls, clock, reach, request, signal }: HostsRequest,
  host: KnownHost,
  opened: RemoteShell[],
): Promise<Visited | Unreached> {
  const script = factsScript({
    dataDirectory: dataDir,
    programsDirectory: installDir,
    programs: programsOf(request),
    paths: [...new Set(request.units.flatMap(({ unit }) => usedPaths(unit)))],
    replaced: replacedDirs(cluster, host, request),
  });
  try {
    return await calls.run({ what: `check ${host.target.host}`, signal }, async (given) => {
      const shell = await RemoteShell.open(await reach(host, given));
      opened.push(shell);
      const reading = await shell.readClock(clock, given);
      return { host, shell, clock: reading, facts: parseFacts(await shell.run(script, factsMs, given)) };
    });
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code === "provider/aborted") throw error;
    return { host, error };
  }
}

async function holderOf(given: HostsRequest, visited: readonly Visited[]): Promise<FoundHolder> {
  const { cluster, request, balancers, calls, signal } = given;
  const { virtualAddress } = request;
  if (virtualAddress === undefined) return {};
  return await findHolder({
    cluster,
    virtualAddress,
    visited: visited.map(({ host, shell, facts }) => ({
      key: host.key,
      host: host.target.host,
      machines: host.machines,
      facts,
      run: async (script) => {
        const what = `check the virtual address from ${host.target.host}`;
        try {
          return await calls.run({ what, signal }, (limit) => shell.run(script, holderMs, limit));
        } catch (error) {
          if (!(error instanceof HaplanError) || error.code === "provider/aborted") throw error;
          return null;
        }
      },
    })),
    balancers: balancers.map(({ key, target: { host }, machines }) => ({
      key,
      label: labelOf({ host, machines: machines.map((name) => ({ name })) }),
    })),
  });
}

function programsOf({ units }: PreflightRequest): readonly string[] {
  const commands = units.flatMap(({ unit: { program } }) => (program.kind === "system" ? [program.command] : []));
  return [...new Set([...requiredTools, ...commands])];
}

/** Of the machines of this host that are removed before others take their places. */
function replacedDirs(cluster: string, { machines }: KnownHost, { space }: PreflightRequest): readonly string[] {
  const replaced = space.filter(({ machine, replaces }) => replaces === true && machines.includes(machine));
  return [...new Set(replaced.map(({ machine }) => `${dataDir}/${cluster}/machines/${machine}`))];
}

/** Null for a machine on none of the hosts: an adopted member, which is there already. */
function hostFinder(
  visited: readonly Visited[],
  hosts: readonly KnownHost[],
): (machine: string) => { host: string; shell: RemoteShell; facts: HostFacts } | null | undefined {
  const byMachine = new Map(
    visited.flatMap(({ host, shell, facts }) => {
      const open = { host: host.target.host, shell, facts };
      return host.machines.map((name) => [name, open] as const);
    }),
  );
  const known = new Set(hosts.flatMap(({ machines }) => machines));
  return (machine) => (known.has(machine) ? byMachine.get(machine) : null);
}

function hostToCheck(
  { host, shell, facts, clock }: Visited,
  { request, installsOf }: Pick<HostsRequest, "request" | "installsOf">,
): HostToCheck {
  const machines = host.machines.map((name): MachineToCheck => {
    const identity = request.machines.find((each) => each.name === name);
    return {
      name,
      address: identity?.address ?? null,
      units: request.units.filter(({ machine }) => machine === name).map(({ unit }) => unit),
      installs: installsOf(name),
      bytes: request.space.filter(({ machine }) => machine === name).reduce((sum, { bytes }) => sum + bytes, 0),
    };
  });
  return { host: host.target.host, machines, facts, notRoot: shell.notRoot, clock };
}

/** Of a host that was not reached, or whose connection was lost during the checks. */
export function unreachedHost({ target, machines }: KnownHost, error: HaplanError): Diagnostic {
  const [summary = "", ...detail] = error.message.split("\n");
  const about = `It is the host of ${machines.join(", ")}, reached as ${target.host}. Nothing was changed: once it answers, run the same command again.`;
  return { severity: "error", code: error.code, summary, detail: [...detail, about].join("\n") };
}
