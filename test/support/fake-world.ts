/**
 * A whole world in memory for tests of the engine: machines, members that follow the rules of joint consensus, a CA, a
 * state and a journal that survive, and a process that can be killed before any of its acts. It keeps watch: a quorum
 * that is lost although nothing asked for it, a load balancer without a target that serves while there is a quorum, and
 * two members at one address and port are written down.
 */

import { writeFileSync } from "node:fs";
import type { ApplyEvent } from "../../src/apply/apply-event.ts";
import type { ApplyPorts } from "../../src/apply/ports.ts";
import { startWriteProbe } from "../../src/apply/write-probe.ts";
import { VirtualClock } from "../../src/base/clock.fake.ts";
import type { Diagnostic } from "../../src/base/diagnostic.ts";
import { HaplanError } from "../../src/base/haplan-error.ts";
import { majorityOf } from "../../src/base/majority.ts";
import type { ControlPlane } from "../../src/control-plane/control-plane.ts";
import type { Authority } from "../../src/pki/authority-port.ts";
import type { JournalRecord } from "../../src/plan/journal-record.ts";
import type {
  ObservedAuthority,
  ObservedCertificate,
  ObservedMachine,
  ObservedMembership,
  ObservedOrphan,
  ObservedUnit,
} from "../../src/plan/observed-cluster.ts";
import type { ProviderModel } from "../../src/plan/provider-model.ts";
import type { Attributes } from "../../src/plan/resource.ts";
import type { State } from "../../src/plan/state.ts";
import type { LoadBalancer } from "../../src/providers/load-balancer.ts";
import { localModel } from "../../src/providers/local/local-model.ts";
import type { LogEvent, LogRequest } from "../../src/providers/log-entry.ts";
import type { HostFailure, MachineIdentity, MachineRef, NewMachine, Provider } from "../../src/providers/provider.ts";
import { unitDigest, unitRestartDigest } from "../../src/providers/unit-digest.ts";
import { unitLoadBalancer } from "../../src/providers/unit-load-balancer.ts";
import { initialClusterIn } from "../../src/units/initial-cluster.ts";
import { type LoadBalancerConfig, loadBalancerName } from "../../src/units/load-balancer-unit.ts";
import type { MemberData } from "../../src/units/member-data.ts";
import { agentUnitName, loadBalancerUnitName, tlsPaths, type UnitDefinition } from "../../src/units/unit-definition.ts";

type FakeUnit = {
  definition: UnitDefinition;
  running: boolean;
  pid: number;
  artifact: string | null;
  startedMs: number;
  /** As it was before it got another version. */
  former: Pick<FakeUnit, "definition" | "artifact"> | null;
};
export type FakeMachine = {
  identity: MachineIdentity;
  attributes: Attributes;
  units: Map<string, FakeUnit>;
  data: string | null;
};
export type FakeMember = { id: string; name: string; peerUrl: string; learner: boolean };

/** What survives the death of the process. */
export type FakeState = {
  machines: Map<string, FakeMachine>;
  /** Hosts that haplan was installed on, as `name@generation` of the machine that it was for. */
  hosts: Set<string>;
  members: FakeMember[];
  leader: string | null;
  /** Counts changes of the membership. */
  configurationIndex: number;
  certificates: Map<string, ObservedCertificate>;
  authority: ObservedAuthority | null;
  /** Names of the authorities that have signed, by the fingerprint of the certificate. */
  signers: Map<string, string>;
  state: State | null;
  journal: JournalRecord[];
  nextId: number;
};

function keyOf({ name, generation }: { readonly name: string; readonly generation: number }): string {
  return `${name}@${generation}`;
}

export class Killed extends Error {
  override readonly name = "Killed";
}

export function emptyFacts(): FakeState {
  return {
    machines: new Map(),
    hosts: new Set(),
    members: [],
    leader: null,
    configurationIndex: 0,
    certificates: new Map(),
    authority: null,
    signers: new Map(),
    state: null,
    journal: [],
    nextId: 1,
  };
}

export class FakeWorld {
  readonly facts: FakeState;
  readonly clock: VirtualClock = new VirtualClock();
  readonly events: ApplyEvent[] = [];
  /** What went wrong although nothing was asked for that could. */
  readonly violations: string[] = [];
  /** Acts so far; the process dies before act number `killAt`. */
  acts = 0;
  killAt: number = Number.POSITIVE_INFINITY;
  destroying = false;
  /** Set by a test to make an act fail, by its name: `startUnit m3`. */
  failing: (act: string) => string | null = () => null;
  /** The names of all acts. */
  readonly acted: string[] = [];
  /** Called before each act, for tests that want to do something in the middle. */
  beforeAct: (act: string) => void = () => undefined;
  /** How long a process takes to start. */
  startupMs = 0;
  readonly snapshots: string[] = [];
  /** Machines whose data was saved for a recovery. */
  readonly exported: string[] = [];
  /** What the data of a machine is like, apart from that of a follower with 20 entries. */
  readonly onDisk: Map<string, Partial<MemberData>> = new Map();
  /** What members send as a snapshot; null: a text. */
  snapshotBytes: Uint8Array | null = null;
  /** Of the members' data. */
  revision = 100;
  orphans: readonly ObservedOrphan[] = [];
  /** Hosts on which nothing can be removed. */
  unreachableHosts: readonly HostFailure[] = [];
  lagOf: (memberId: string) => number | null = () => 0;
  clusterId = "cluster-1";
  /** A real etcd moves one vote at a time, has one learner at most, and accepts none while a voter is down. */
  engine: "agent" | "etcd" = "agent";
  /** Names of the machines that were made, in their order. */
  readonly made: string[] = [];
  /** The pure half of the provider. */
  model: ProviderModel = localModel;
  /** The version of haplan's programs that the provider starts units with; null: it does not distinguish versions. */
  artifact: string | null = null;
  /** What is wrong with a version, by its name. */
  readonly broken: Map<string, "doesNotStart" | "crashesAfter5s" | "isNeverReady"> = new Map();
  /** With what it was told last; null where the load balancer is a unit. */
  cloud: (LoadBalancer & { readonly config: LoadBalancerConfig | null }) | null = null;

  constructor(facts: FakeState = emptyFacts()) {
    this.facts = facts;
  }

  ports(): ApplyPorts {
    const provider = this.#provider();
    return {
      provider,
      loadBalancer: this.cloud ?? unitLoadBalancer(provider, this.clock),
      authority: this.#authority(),
      connect: ({ endpoints }) => this.#controlPlane(endpoints),
      probeWrites: async (request, onLongGap) =>
        startWriteProbe(request, ({ endpoints }) => this.#controlPlane(endpoints), this.clock, onLongGap),
      askPresented: async (url) => this.#presented(new URL(url).hostname),
      stateStore: {
        read: async () => this.facts.state,
        write: async (state) => this.#act("writeState", () => void (this.facts.state = state)),
        remove: async () => this.#act("removeState", () => void (this.facts.state = null)),
      },
      journal: {
        read: async () => [...this.facts.journal],
        append: async (record) =>
          this.#act(`journal ${record.phase} ${record.stepId}`, () => {
            this.facts.journal.push({ ...record, sequence: this.facts.journal.length + 1, at: "2026-01-01T00:00:00Z" });
          }),
        clear: async () => this.#act("clearJournal", () => void (this.facts.journal = [])),
      },
      snapshots: {
        keep: async (name, pieces) => {
          const found: Uint8Array[] = [];
          for await (const piece of pieces) found.push(piece);
          return this.#act(`snapshot ${name}`, () => {
            const text = Buffer.concat(found).toString();
            this.snapshots.push(text);
            return { path: `${name}.db`, sha256: `sha-of-${text}`, sizeBytes: text.length };
          });
        },
      },
      verifySnapshot: async () => ({ revision: this.revision, keys: 0 }),
      clock: this.clock,
      newLineage: () => "lineage-1",
      emit: (event) => void this.events.push(event),
    };
  }

  /** Where haplan was installed for a machine that is not there. */
  hostsWithoutMachine(): readonly string[] {
    const present = new Set([...this.facts.machines.values()].map(({ identity }) => keyOf(identity)));
    return [...this.facts.hosts].filter((host) => !present.has(host));
  }

  /** What a member has on its disk; null without data. */
  #dataOf(machine: MachineRef): MemberData | null {
    const [found] = this.#machinesOf(machine);
    if (found === undefined) throw new HaplanError("fake/no-machine", `no machine ${refText(machine)}`);
    if (found.data === null) return null;
    const log = { term: 2, commitIndex: 18, lastTerm: 2, lastIndex: 20, appliedIndex: 18, revision: this.revision };
    return {
      ...{ memberId: found.data, clusterId: this.clusterId, storeBytes: 4096, torn: [], damage: null, learners: [] },
      ...log,
      running: found.units.get(agentUnitName)?.running === true,
      voters: this.facts.members.filter(({ learner }) => !learner).map(({ id }) => id),
      votersOutgoing: [],
      ...this.onDisk.get(found.identity.name),
    };
  }

  #act<T>(name: string, effect: () => T): T {
    this.acts += 1;
    if (this.acts >= this.killAt) throw new Killed(`killed before ${name}`);
    this.beforeAct(name);
    this.acted.push(name);
    const failure = this.failing(name);
    if (failure !== null) throw new HaplanError("fake/failure", failure);
    const had = this.hasQuorum();
    const served = this.servingTargets() > 0;
    const result = effect();
    if (had && !this.destroying && !this.hasQuorum()) this.violations.push(`${name} lost the quorum`);
    if (served && !this.destroying && this.hasQuorum() && this.#balancerRuns() && this.servingTargets() === 0) {
      this.violations.push(`${name} left the load balancer without a target`);
    }
    for (const why of this.#distrust()) this.violations.push(`${name}: ${why}`);
    for (const place of this.#placesTakenTwice()) this.violations.push(`${name}: two members listen at ${place}`);
    this.#elect();
    return result;
  }

  /** Its agent runs, and listens where its peers look for it. */
  isUp(memberId: string): boolean {
    const peerUrl = this.facts.members.find((member) => member.id === memberId)?.peerUrl ?? "";
    return this.#listening().some(
      ({ machine, places }) =>
        machine.data === memberId &&
        peerUrl.endsWith(`//${places[1]}`) &&
        !this.hung.has(machine.identity.name) &&
        !this.#is(machine, "isNeverReady"),
    );
  }

  #is({ units }: FakeMachine, defect: "crashesAfter5s" | "isNeverReady"): boolean {
    const { artifact = null, definition } = units.get(agentUnitName) ?? {};
    const program = definition?.program.kind === "system" ? definition.program.version : undefined;
    return this.broken.get(artifact ?? program ?? "") === defect;
  }

  #crash(): void {
    for (const machine of this.facts.machines.values()) {
      const agent = machine.units.get(agentUnitName);
      if (agent?.running === true && this.#is(machine, "crashesAfter5s"))
        agent.running = this.clock.monotonicMs() < agent.startedMs + 5_000;
    }
    this.#elect();
  }

  voters(): FakeMember[] {
    return this.facts.members.filter((member) => !member.learner);
  }

  hasQuorum(): boolean {
    const voters = this.voters();
    return voters.length > 0 && voters.filter((voter) => this.isUp(voter.id)).length >= majorityOf(voters.length);
  }

  #balancerRuns(): boolean {
    if (this.cloud !== null) return this.cloud.config !== null;
    return this.facts.machines.get(loadBalancerName)?.units.get(loadBalancerUnitName)?.running === true;
  }

  /** Machines whose agent runs, with the addresses at which it listens. */
  #listening(): readonly { readonly machine: FakeMachine; readonly places: readonly string[] }[] {
    return [...this.facts.machines.values()].flatMap((machine) => {
      const agent = machine.units.get(agentUnitName);
      return agent?.running === true ? [{ machine, places: agent.definition.listens }] : [];
    });
  }

  /** Running programs that present a certificate of an authority which a master does not trust. */
  #distrust(): readonly string[] {
    const running = [...this.facts.machines.values()].flatMap(({ identity, units }) =>
      [...units.values()].filter((unit) => unit.running).map((unit) => ({ name: identity.name, unit })),
    );
    const contentOf = ({ definition }: FakeUnit, wanted: string): string | undefined =>
      definition.files.find(({ path }) => path === wanted)?.content.toString();
    return running.flatMap(({ name, unit }) => {
      const signer = this.facts.signers.get(contentOf(unit, tlsPaths.certificate) ?? "");
      if (signer === undefined) return [];
      return running.flatMap((other) => {
        const trusted = contentOf(other.unit, tlsPaths.authority)?.split(",") ?? [];
        const isMaster = other.unit.definition.name === agentUnitName;
        return isMaster && !trusted.includes(signer) ? [`${other.name} rejects the certificate of ${name}`] : [];
      });
    });
  }

  #placesTakenTwice(): readonly string[] {
    const places = this.#listening().flatMap((each) => each.places);
    return places.filter((place, index) => places.indexOf(place) !== index);
  }

  /** Targets of the load balancer at which a voter answers clients. */
  servingTargets(): number {
    const backends = this.#balancerConfig()?.backends ?? [];
    const serving = this.#listening().filter(({ machine }) => this.voters().some(({ id }) => id === machine.data));
    const places = new Set(serving.flatMap((each) => each.places.slice(0, 1)));
    return backends.filter(({ address, port }) => places.has(`${address}:${port}`)).length;
  }

  #balancerConfig(): LoadBalancerConfig | null {
    if (this.cloud !== null) return this.cloud.config;
    const unit = this.facts.machines.get(loadBalancerName)?.units.get(loadBalancerUnitName);
    const file = unit?.definition.files.find(({ path }) => path === "load-balancer.json");
    if (unit?.running !== true || file === undefined) return null;
    return JSON.parse(String(file.content)) as LoadBalancerConfig;
  }

  #elect(): void {
    const { leader } = this.facts;
    if (!this.hasQuorum()) this.facts.leader = null;
    else if (leader === null || !this.voters().some((voter) => voter.id === leader && this.isUp(leader))) {
      this.facts.leader = this.voters().find((voter) => this.isUp(voter.id))?.id ?? null;
    }
  }

  /** Machines that cannot be looked at, though they may run. */
  readonly unreachable: Set<string> = new Set();
  /** Members whose processes run and say nothing. */
  readonly hung: Set<string> = new Set();
  /** Those of them that a restart does not help. */
  readonly keepsHanging: Set<string> = new Set();
  /** Members that haplan cannot call, though they are at work. */
  readonly uncalled: Set<string> = new Set();
  /** Machines whose directories are hidden, as by a mount: their processes run. */
  readonly hidden: Set<string> = new Set();
  /** Machines of one generation, as `name@generation`, whose hosts do not answer, and the names that are unreachable with the host. */
  readonly cutOff: Map<string, readonly string[]> = new Map();

  #provider(): Provider {
    return {
      model: this.model,
      limits: { machinesAtOnce: 10, callTimeoutMs: null },
      observe: async (lineage, names) => {
        this.#crash();
        const found = [...this.facts.machines.values()]
          .filter((machine) => machine.identity.lineage === lineage || names.includes(machine.identity.name))
          .map(observedMachine);
        return {
          machines: found.filter(
            (each) => !this.unreachable.has(each.name) && !this.hidden.has(each.name) && !this.cutOff.has(keyOf(each)),
          ),
          unreachable: [...this.unreachable, ...[...this.cutOff.values()].flat()].map((name) => ({
            name,
            reason: "no route to host",
          })),
        };
      },
      observeOrphans: async () => [...this.orphans, ...this.#hiddenProcesses()],
      preflight: async () => this.#preflight(),
      check: async () => ({ hosts: [], diagnostics: this.#preflight() }),
      createMachine: async ({ beside, attributes = {}, ...machine }) => {
        // Installed before the machine is made: also by a process that dies in between.
        this.facts.hosts.add(keyOf(machine));
        return this.#act(`createMachine ${machine.name}`, () => this.#createMachine(machine, attributes, beside));
      },
      updateMachine: async (machine, { attributes }) =>
        this.#act(`updateMachine ${refText(machine)}`, () => {
          for (const found of this.#machinesOf(machine)) found.attributes = attributes;
          return {};
        }),
      renameMachine: async (from, to) =>
        this.#act(`renameMachine ${from} ${to}`, () => {
          for (const machine of this.#machinesOf(from)) {
            this.facts.hosts.delete(keyOf(machine.identity));
            machine.identity = { ...machine.identity, name: to };
            this.facts.hosts.add(keyOf(machine.identity));
          }
        }),
      destroyMachine: async (machine) => this.#destroyMachine(machine),
      startUnit: async (machine, unit) => this.#startUnit(machine, unit),
      artifact: async () => this.artifact,
      revertUnit: async (machine, unit) =>
        this.#act(`revertUnit ${refText(machine)}`, () => {
          const found = this.#machinesOf(machine)[0]?.units.get(unit);
          if (found?.former == null) throw new HaplanError("provider/no-former-version", "none was kept");
          const pid = this.facts.nextId++;
          Object.assign(found, { ...found.former, running: true, pid, startedMs: this.clock.monotonicMs() });
          return { pid };
        }),
      stopUnit: async (machine, unit) =>
        this.#act(`stopUnit ${refText(machine)}`, () => {
          const [there] = this.#machinesOf(machine);
          const found = there?.units.get(unit);
          if (found !== undefined) found.running = false;
          const name = there?.identity.name ?? "";
          if (unit === agentUnitName && !this.keepsHanging.has(name)) this.hung.delete(name);
        }),
      disturbUnit: async (machine, unit, fault) =>
        this.#act(`${fault.kind} ${unit} ${refText(machine)}`, () => {
          const found = this.#machinesOf(machine)[0]?.units.get(unit);
          if (found === undefined) throw new HaplanError("provider/not-running", `${unit} does not run`);
          if (fault.kind === "restart") found.pid = this.facts.nextId++;
          else found.running = fault.kind === "resume";
        }),
      restoreData: async (machine, { id, command }) =>
        this.#act(`restoreData ${refText(machine)}`, () => {
          const [found] = this.#machinesOf(machine);
          if (found === undefined) throw new HaplanError("fake/no-machine", `no machine ${refText(machine)}`);
          if (found.units.get(agentUnitName)?.running === true)
            this.violations.push(`${refText(machine)} was restored while its agent ran`);
          // A member of another cluster: those of before are none of its members.
          const { name } = found.identity;
          const peerUrl = command.arguments.find((word) => word.startsWith("--initial-advertise-peer-urls="));
          const restored = { id: `${id}-${name}`, name, peerUrl: peerUrl?.split("=")[1] ?? "", learner: false };
          const others = this.facts.members.filter((each) => each.id.startsWith(`${id}-`) && each.name !== name);
          this.facts.members = [...others, restored];
          found.data = restored.id;
        }),
      readData: async (machine) => JSON.stringify(this.#dataOf(machine)),
      exportData: async (machine, { file }) =>
        this.#act(`exportData ${refText(machine)}`, () => {
          if (this.#dataOf(machine)?.running !== false)
            this.violations.push(`${refText(machine)} was saved while it ran`);
          if (this.snapshotBytes !== null) writeFileSync(file, this.snapshotBytes);
          this.exported.push(refText(machine));
        }),
      removeUnit: async (machine, unit) =>
        this.#act(`removeUnit ${refText(machine)}`, () => void this.#machinesOf(machine)[0]?.units.delete(unit)),
      unitLog: async (machine) => `log of ${refText(machine)}`,
      logs: (machine, request) => this.#logs(machine, request),
      shell: async (machine, { command, tty }) => ({
        file: "shell",
        arguments: [refText(machine), ...(tty ? ["with a terminal"] : []), ...(command ?? ["login"])],
        directory: null,
      }),
      readUnitFile: async () => null,
      askUnit: async () => null,
      answersLocally: async (machine) => {
        const [found] = this.#machinesOf(machine);
        const unit = found?.units.get(agentUnitName);
        return unit?.running === true && found?.data != null && this.isUp(found.data);
      },
      lock: async () => {},
      reinstall: async () => [],
      prepare: async (machines) =>
        this.#act(`prepare ${machines.join(" ")}`, () =>
          machines.flatMap((name) => {
            const reason = this.failing(`prepare ${name}`);
            return reason === null ? [] : [{ host: name, reason }];
          }),
        ),
      removeLeftovers: async ({ begun, everywhere }) =>
        this.#act("removeLeftovers", () => {
          const left = this.hostsWithoutMachine();
          for (const host of everywhere ? left : begun.map(keyOf))
            if (left.includes(host)) this.facts.hosts.delete(host);
          return this.unreachableHosts;
        }),
      runTask: async (machine, _, task) => this.#act(`runTask ${refText(machine)} ${task.name}`, () => ""),
      startTask: async (machine, _, task) => this.#act(`startTask ${refText(machine)} ${task.name}`, () => undefined),
      taskReport: async () => ({ state: "done", output: "" }),
      close: async () => {},
    };
  }

  #hiddenProcesses(): readonly ObservedOrphan[] {
    return [...this.hidden].flatMap((machine) => {
      const units = [...(this.facts.machines.get(machine)?.units ?? [])].filter(([, { running }]) => running);
      return units.map(([unit, { pid }]) => ({ machine, unit, pid }));
    });
  }

  /** Each unit has logged two lines: units take turns, a second apart. */
  async *#logs(ref: MachineRef, request: LogRequest): AsyncGenerator<LogEvent> {
    const failure = this.failing(`logs ${refText(ref)}`);
    if (failure !== null) throw new HaplanError("fake/failed", failure);
    const [machine] = this.#machinesOf(ref);
    if (machine === undefined) throw new HaplanError("provider/no-machine", `There is no machine "${refText(ref)}"`);
    const { name } = machine.identity;
    const turn = [...this.facts.machines.keys()].indexOf(name);
    const units = [...machine.units.keys()].filter((unit) => request.unit === null || request.unit === unit);
    for (const minute of [0, 1].slice(request.lines === null ? 0 : -request.lines)) {
      for (const unit of units) {
        yield { machine: name, unit, timeMs: minute * 60_000 + turn * 1000, message: `line ${minute + 1} of ${unit}` };
      }
    }
    yield "current";
  }

  #preflight(): readonly Diagnostic[] {
    const failure = this.failing("preflight");
    return failure === null ? [] : [{ severity: "error", code: "fake/preflight", summary: failure }];
  }

  /** All of a name, the newest first; of a generation only that one. */
  #machinesOf(ref: MachineRef): readonly FakeMachine[] {
    const named = [...this.facts.machines.values()]
      .filter(({ identity }) => identity.name === (typeof ref === "string" ? ref : ref.name))
      .sort((a, b) => b.identity.generation - a.identity.generation);
    return typeof ref === "string" ? named : named.filter(({ identity }) => identity.generation === ref.generation);
  }

  #createMachine(machine: NewMachine, attributes: Attributes, beside: number | undefined): Attributes {
    const { name, generation } = machine;
    // On another host than one that does not answer.
    const there = this.#machinesOf(name)
      .map((each) => each.identity)
      .filter((each) => !this.cutOff.has(keyOf(each)));
    for (const { generation: other } of there) {
      if (other !== generation && other !== beside)
        this.violations.push(`${name} was made on top of generation ${other}`);
    }
    const facts = Object.keys(attributes).length === 0 ? {} : { instanceId: `i-${name}-${generation}` };
    const found = this.#machinesOf(name).find((each) => each.identity.generation === generation);
    const address = found?.identity.address ?? machine.address ?? `10.1.0.${this.facts.nextId++}`;
    const told = machine.address === null ? { ...facts, address } : facts;
    if (found !== undefined) return told;
    const identity = { ...machine, address };
    this.made.push(name);
    const key = this.facts.machines.has(name) ? `${name}@${generation}` : name;
    this.facts.machines.set(key, { identity, attributes, units: new Map(), data: null });
    return told;
  }

  #destroyMachine(ref: MachineRef): void {
    const chosen = this.#machinesOf(ref);
    this.#act(`destroyMachine ${refText(ref)}: stop`, () => {
      for (const { units } of chosen) for (const unit of units.values()) unit.running = false;
    });
    this.#act(`destroyMachine ${refText(ref)}: remove`, () => {
      for (const [key, machine] of [...this.facts.machines]) {
        if (!chosen.includes(machine)) continue;
        this.facts.machines.delete(key);
        this.facts.hosts.delete(keyOf(machine.identity));
        const votes = this.voters().some(({ id }) => id === machine.data);
        if (typeof ref !== "string" && votes) this.violations.push(`${refText(ref)} was destroyed while it voted`);
      }
      this.orphans = this.orphans.filter(({ machine }) => machine !== ref);
    });
  }

  /** A running agent shows what is in its files. */
  #presented(address: string): { fingerprint: string; notAfter: string } | null {
    const machine = [...this.facts.machines.values()].find((each) => each.identity.address === address);
    const agent = machine?.units.get(agentUnitName);
    const file = agent?.definition.files.find(({ path }) => path === tlsPaths.certificate);
    if (agent?.running !== true || file === undefined) return null;
    return { fingerprint: String(file.content), notAfter: "2030-01-01T00:00:00Z" };
  }

  async #startUnit(ref: MachineRef, definition: UnitDefinition): Promise<{ pid: number }> {
    const machineName = refText(ref);
    const machine = this.#machinesOf(ref)[0];
    if (machine === undefined) throw new HaplanError("fake/no-machine", `no machine ${machineName}`);
    const there = machine.units.get(definition.name);
    const artifact = definition.program.kind === "haplan" ? this.artifact : null;
    const isOfVersion = there?.artifact === artifact;
    if (there?.running === true && isOfVersion && unitDigest(there.definition) === unitDigest(definition))
      return { pid: there.pid };
    const reloads =
      there !== undefined && isOfVersion && unitRestartDigest(there.definition) === unitRestartDigest(definition);
    if (there?.running === true && definition.reload !== undefined && reloads) {
      return this.#act(`startUnit ${machineName}: reload`, () => {
        there.definition = definition;
        return { pid: there.pid };
      });
    }
    if (there?.running === true) this.#act(`startUnit ${machineName}: stop`, () => void (there.running = false));
    if (this.startupMs > 0) await this.clock.sleep(this.startupMs);
    return this.#act(`startUnit ${machineName}`, () => {
      const pid = this.facts.nextId++;
      if (definition.name === agentUnitName) this.#boot(machine, definition);
      // Until the next change.
      const isSame = there !== undefined && unitDigest(there.definition) === unitDigest(definition);
      const kept = isSame ? there.former : null;
      const former =
        there === undefined || isOfVersion ? kept : { definition: there.definition, artifact: there.artifact };
      const startedMs = this.clock.monotonicMs();
      const running = this.broken.get(artifact ?? "") !== "doesNotStart";
      machine.units.set(definition.name, { definition, running, pid, artifact, startedMs, former });
      if (!running) throw new HaplanError("provider/unit-exited", `${definition.name} ended with exit code 1`);
      return { pid };
    });
  }

  /** What an agent does with its flags when its data directory is empty, and when it is not. */
  #boot(machine: FakeMachine, definition: UnitDefinition): void {
    const flag = (name: string): string =>
      definition.arguments.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3) ?? "";
    const { members } = this.facts;
    if (machine.data !== null) {
      const known = members.find((member) => member.id === machine.data);
      if (known === undefined) {
        throw new HaplanError("provider/unit-exited", `${machine.identity.name} was removed from its cluster`);
      }
      known.name = flag("name");
      return;
    }
    const own = flag("initial-advertise-peer-urls");
    if (flag("initial-cluster-state") === "new") {
      if (members.length === 0) {
        for (const entry of flag("initial-cluster").split(",")) {
          const [name = "", peerUrl = ""] = entry.split("=");
          members.push({ id: `boot-${name}`, name, peerUrl, learner: false });
        }
      }
      machine.data = members.find((member) => member.peerUrl === own)?.id ?? null;
      if (this.#usedTwice(machine))
        this.violations.push(`${machine.identity.name} came back as a member that had data`);
      return;
    }
    const told = flag("initial-cluster")
      .split(",")
      .map((entry) => entry.slice(entry.indexOf("=") + 1));
    if (!members.some((member) => member.peerUrl !== own && told.includes(member.peerUrl) && this.isUp(member.id))) {
      throw new HaplanError("provider/unit-exited", `no member of --initial-cluster answered (${told.join(" ")})`);
    }
    const joining = members.find((member) => member.peerUrl === own && member.learner && member.name === "");
    if (joining === undefined) throw new HaplanError("provider/unit-exited", `${own} is no new member of the cluster`);
    joining.name = flag("name");
    machine.data = joining.id;
  }

  readonly #everHadData = new Set<string>();

  /** A member that has voted must not come back without its memory (Raft's persistent state). */
  #usedTwice(machine: FakeMachine): boolean {
    const id = machine.data ?? "";
    const before = this.#everHadData.has(id);
    this.#everHadData.add(id);
    return before;
  }

  /** Writes need a process that listens at one of `endpoints`; all else is there as long as any member runs. */
  #controlPlane(endpoints: readonly string[]): ControlPlane {
    const needListener = (): void => {
      const places = [...this.facts.machines.values()].flatMap(({ units }) =>
        [...units.values()].flatMap(({ running, definition }) => (running ? definition.listens : [])),
      );
      if (endpoints.every((endpoint) => !places.includes(new URL(endpoint).host)))
        throw new HaplanError("control-plane/refused", `connect ECONNREFUSED ${endpoints.join()}`);
    };
    const sent = (): Uint8Array | null => this.snapshotBytes;
    const needQuorum = (): void => {
      if (!this.hasQuorum()) throw new HaplanError("control-plane/no-quorum", "no quorum");
    };
    const { facts } = this;
    return {
      observe: async () => this.#observeMembership(),
      addLearner: async ({ peerUrl }) =>
        this.#act("addLearner", () => {
          needQuorum();
          const there = facts.members.find((member) => member.learner && member.peerUrl === peerUrl);
          if (there !== undefined) return { memberId: there.id };
          this.#needEtcdHealth();
          const id = `id-${facts.nextId++}`;
          facts.members.push({ id, name: "", peerUrl, learner: true });
          facts.configurationIndex += 1;
          return { memberId: id };
        }),
      learnerLag: async (id) => (this.isUp(id) ? this.lagOf(id) : null),
      changeVoters: async ({ from, to }) => this.#act("changeVoters", () => this.#changeVoters(from, to, needQuorum)),
      removeMember: async (id) =>
        this.#act("removeMember", () => {
          needQuorum();
          const member = facts.members.find((candidate) => candidate.id === id);
          if (member?.learner === false && this.engine === "agent")
            throw new HaplanError("control-plane/votes", `${id} votes`);
          facts.members = facts.members.filter((candidate) => candidate.id !== id);
          facts.configurationIndex += 1;
        }),
      updateMember: async ({ memberId, peerUrl }) =>
        this.#act("updateMember", () => {
          needQuorum();
          for (const member of facts.members) if (member.id === memberId) member.peerUrl = peerUrl;
          facts.configurationIndex += 1;
        }),
      moveLeader: async (id) =>
        this.#act("moveLeader", () => {
          if (!this.isUp(id)) throw new HaplanError("control-plane/down", `${id} is down`);
          facts.leader = id;
        }),
      snapshot: async function* () {
        needQuorum();
        yield sent() ?? Buffer.from(`snapshot of ${facts.members.length} members`);
      },
      put: async () => {
        needListener();
        needQuorum();
      },
      close: () => undefined,
    };
  }

  #needEtcdHealth(): void {
    if (this.engine === "agent") return;
    if (this.voters().some(({ id }) => !this.isUp(id)))
      throw new HaplanError("control-plane/failed", "etcdserver: unhealthy cluster");
    if (this.facts.members.some(({ learner }) => learner))
      throw new HaplanError("control-plane/failed", "etcdserver: too many learner members in cluster");
  }

  #changeVoters(from: readonly string[], to: readonly string[], needQuorum: () => void): void {
    needQuorum();
    const now = this.voters()
      .map((voter) => voter.id)
      .sort();
    if (now.join() === [...to].sort().join()) return;
    if (now.join() !== [...from].sort().join()) throw new HaplanError("control-plane/voters-moved", "voters moved");
    if (to.length % 2 === 0 && this.engine === "agent") this.violations.push(`${to.length} voters: an even number`);
    if (to.filter((id) => this.isUp(id)).length < majorityOf(to.length))
      this.violations.push("joint change without quorum");
    for (const member of this.facts.members) member.learner = !to.includes(member.id);
    this.facts.configurationIndex += 2; // Into the joint configuration, and out of it.
  }

  #observeMembership(): ObservedMembership | null {
    const answers = ({ id, name }: FakeMember): boolean => this.isUp(id) && !this.uncalled.has(name);
    if (!this.facts.members.some(answers)) return null;
    const quorum = this.hasQuorum();
    return {
      clusterId: this.clusterId,
      votersOutgoing: [],
      configurationIndex: this.facts.configurationIndex,
      hasLeader: quorum,
      revision: this.revision,
      members: this.facts.members.map((member) => ({
        id: member.id,
        name: member.name,
        peerUrls: [member.peerUrl],
        clientUrls: [],
        learner: member.learner,
        healthy: quorum && answers(member),
        leader: quorum && this.facts.leader === member.id,
        raftIndex: answers(member) ? 10 : null,
        raftTerm: answers(member) ? 1 : null,
        dbSizeBytes: null,
      })),
    };
  }

  #authority(): Authority {
    const { facts } = this;
    const dates = { notBefore: "2026-01-01T00:00:00Z", notAfter: "2030-01-01T00:00:00Z" };
    const madeAuthority = (commonName = "demo haplan CA"): ObservedAuthority => ({
      commonName,
      fingerprint: `fp-${facts.nextId++}`,
      ...dates,
      signingKey: "present",
      directory: "pki",
    });
    return {
      observe: async () => ({ authority: facts.authority, certificates: [...facts.certificates.values()] }),
      createAuthority: async (commonName) =>
        this.#act("createAuthority", () => (facts.authority ??= madeAuthority(commonName))),
      renewAuthority: async (replaces) =>
        this.#act("renewAuthority", () => {
          if (facts.authority?.fingerprint === replaces) facts.authority = madeAuthority();
          return facts.authority ?? madeAuthority();
        }),
      addAuthority: async (commonName) =>
        this.#act("addAuthority", () => {
          const present = facts.authority ?? madeAuthority();
          facts.authority = { ...present, next: present.next ?? madeAuthority(commonName), crossSigned: true };
          return facts.authority;
        }),
      activateAuthority: async () =>
        this.#act("activateAuthority", () => {
          const { next, ...present } = facts.authority ?? madeAuthority();
          if (next === undefined) return present;
          for (const [name, each] of facts.certificates) {
            facts.certificates.set(name, { ...each, trusted: false, signedByPrevious: true });
          }
          facts.authority = { ...present, ...next, previous: [present] };
          return facts.authority;
        }),
      dropAuthority: async () =>
        this.#act("dropAuthority", () => {
          const { previous, crossSigned, ...present } = facts.authority ?? madeAuthority();
          facts.authority = present;
          return present;
        }),
      trialMaterial: async () =>
        facts.authority?.next === undefined
          ? null
          : { caPem: "ca", certificatePem: "trial", keyPem: "SECRET-KEY-OF-trial" },
      issue: async ({ name, profile, subjectAltNames, replaces }) =>
        this.#act(`issue ${name}`, () => {
          const there = facts.certificates.get(name);
          const answers = there?.subjectAltNames.join() === subjectAltNames.join();
          if (there?.trusted === true && answers && there.fingerprint !== replaces) return there;
          const fingerprint = `fp-${facts.nextId++}`;
          const certificate = {
            name,
            fingerprint,
            profile,
            subjectAltNames,
            ...dates,
            trusted: true,
            endsWithAuthority: false,
          };
          facts.certificates.set(name, certificate);
          facts.signers.set(fingerprint, facts.authority?.commonName ?? "");
          return certificate;
        }),
      material: async (name) => {
        const { fingerprint } = facts.certificates.get(name) ?? { fingerprint: "" };
        if (fingerprint === "") throw new HaplanError("pki/unknown-certificate", `no certificate ${name}`);
        const { commonName = "ca", next, previous = [] } = facts.authority ?? {};
        const caPem = [
          commonName,
          ...(next === undefined ? [] : [next.commonName]),
          ...previous.map((each) => each.commonName),
        ]
          .sort()
          .join();
        return { caPem, certificatePem: fingerprint, keyPem: `SECRET-KEY-OF-${name}` };
      },
      clientMaterial: async () => {
        if (facts.authority === null) throw new HaplanError("pki/not-authenticated", "cannot authenticate: no CA");
        return { caPem: "ca", certificatePem: "admin", keyPem: "SECRET-KEY-OF-admin" };
      },
      removeCertificate: async (name) =>
        this.#act(`removeCertificate ${name}`, () => void facts.certificates.delete(name)),
      removeAuthority: async () =>
        this.#act("removeAuthority", () => {
          facts.authority = null;
          facts.certificates.clear();
        }),
    };
  }
}

function refText(ref: MachineRef): string {
  return typeof ref === "string" ? ref : `${ref.name}#${ref.generation}`;
}

function observedMachine(machine: FakeMachine): ObservedMachine {
  const { name, address, lineage, generation } = machine.identity;
  return {
    name,
    address,
    lineage,
    generation,
    hasData: machine.data !== null,
    units: [...machine.units].map(([unit, { running, pid, definition, artifact }]) => ({
      name: unit,
      running,
      pid: running ? pid : null,
      definitionDigest: unitDigest(definition),
      ...(artifact === null ? {} : { artifact }),
      ...startedWith(definition),
    })),
    ...(Object.keys(machine.attributes).length === 0 ? {} : { attributes: machine.attributes }),
  };
}

function startedWith({ arguments: given }: UnitDefinition): Pick<ObservedUnit, "initialCluster" | "arguments"> {
  const initialCluster = initialClusterIn(given);
  return { arguments: given, ...(initialCluster === null ? {} : { initialCluster }) };
}
