/** Opens a member's disk like the agent (agent/disk/open-storage.ts, agent/from-config.ts). */
import type { Clock } from "../../src/base/clock.ts";
import { restoreState } from "../../src/raft-agent/agent/disk/open-storage.ts";
import { writeInitialMembers } from "../../src/raft-agent/agent/disk/write-initial-members.ts";
import type { ConsensusPort } from "../../src/raft-agent/consensus/consensus-port.ts";
import { openStore } from "../../src/raft-agent/mvcc/mvcc-store.ts";
import type { Store } from "../../src/raft-agent/mvcc/store.ts";
import { needsBootstrap } from "../../src/raft-agent/raft/bootstrap.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { RestoredState } from "../../src/raft-agent/raft/state.ts";
import { MemberServices } from "../../src/raft-agent/services/member-services.ts";
import type { Member, MembershipChange } from "../../src/raft-agent/state-machine/membership.ts";
import { StateMachine } from "../../src/raft-agent/state-machine/state-machine.ts";
import { openWal } from "../../src/raft-agent/wal/open-wal.ts";
import type { Wal } from "../../src/raft-agent/wal/wal.ts";
import type { Host } from "./host.ts";
import type { Mutations } from "./mutations.ts";
import { olderVersion, versionsOfRelease } from "./releases.ts";
import { SimulatedBackend } from "./simulated-backend.ts";
import type { Life } from "./simulated-time.ts";
import type { World } from "./world.ts";

export const clusterToken = "simulated";
const clusterId = "5151515151515151";

export type Opened = {
  readonly wal: Wal;
  readonly store: Store;
  readonly restored: RestoredState;
};

/** @throws HaplanError: the disk cannot be used. */
export async function openDisk(world: World, host: Host, life: Life): Promise<Opened> {
  const { mutations, profile, random } = world;
  const { wal, recovered: found } = await openWal({
    fileSystem: host.disk.mount(),
    directory: "wal",
    metadata: Buffer.from(host.id),
    segmentBytes: profile.disk.segmentBytes,
    clock: life.clock,
    random,
  });
  const recovered = mutations.recovered?.(found, random) ?? found;
  const backend = new SimulatedBackend(host.content, () => host.waitForDisk(), mutations);
  const store = await openStore({ backend, yieldTurn: () => Promise.resolve() });
  const founds = host.initialMembers !== null && recovered.snapshot === null;
  const restored = restoreState(recovered, founds ? host.initialMembers : null, store.consistentIndex);
  if (founds) await wal.append({ hardState: restored.hardState, entries: [], snapshot: restored.snapshot });
  if (host.initialMembers !== null && needsBootstrap(restored.snapshot.index, store.consistentIndex)) {
    await writeInitialMembers(store, host.initialMembers.map(foundingMember), restored.snapshot);
  }
  life.every(profile.disk.storeCommitMs, () => void store.flush());
  return { wal, store, restored };
}

/** The state machine, with what the release on the host knows. */
export function createMachine({ mutations, profile }: World, host: Host, store: Store): StateMachine {
  if (!profile.mixesReleases) return new StateMachine({ self: host.id, store });
  const versions = versionsOfRelease(host.version);
  const machine = new StateMachine({ self: host.id, store, versions });
  if (mutations.proposesEarly === true) {
    // What it reads stays as it is; services ask this for what they may propose.
    Object.assign(machine, { versions: { ...versions, since: () => olderVersion } });
  }
  return machine;
}

export function createServices(
  world: World,
  machine: StateMachine,
  consensus: ConsensusPort,
  life: Life,
  onMembershipChanged: (change: MembershipChange) => void,
): MemberServices {
  const { clock } = life;
  const services = new MemberServices({
    consensus,
    machine,
    clock: clockWithMutations(world.mutations, clock),
    clusterId,
    clusterToken,
    version: "3.6.1",
    quotaBytes: -1,
    proposerLimits: { requestTimeoutMs: world.profile.clientTimeoutMs },
    // 32 hex digits, like the agent's, and the same ones for the same seed.
    createChangeId: () => [1, 2, 3, 4].map(() => hexWord(world.random.below(2 ** 32))).join(""),
    random: () => world.random.next(),
    nextTurn: (task) => life.after(0, task),
    limits: { watchProgressIntervalMs: 300 },
    onMembershipChanged,
  });
  if (world.mutations.promisesUncleared === true) promiseUncleared(services);
  return services;
}

function clockWithMutations(mutations: Mutations, clock: Clock): Clock {
  if (mutations.reusesRequestNumbers === true) return { ...clock, now: () => 1 };
  return mutations.countsOnWallClock === true ? { ...clock, monotonicMs: () => clock.now() } : clock;
}

function promiseUncleared({ context: { lessor, machine } }: MemberServices): void {
  const renew = lessor.renew.bind(lessor);
  lessor.renew = (id) => {
    const outcome = renew(id);
    if (outcome?.kind !== "clearFirst") return outcome;
    return { kind: "renewed", ttlSeconds: machine.leases.get(id)!.ttlSeconds };
  };
}

function hexWord(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function foundingMember(id: MemberId): Member {
  return { id, name: "", peerUrls: [`http://${id}:2380`], clientUrls: [], learner: false };
}
