/** Consensus of one member: the core, its run loop, and the traffic of other members. */
import { performance } from "node:perf_hooks";
import { systemClock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import { ConsensusClient } from "../consensus/consensus-client.ts";
import { ConsensusDriver, type DriverListener } from "../consensus/consensus-driver.ts";
import type { LogIndex, MemberId } from "../raft/entry.ts";
import { Raft } from "../raft/raft.ts";
import type { StateRepair } from "../services/corruption/corruption-check.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";
import type { AgentEvents, ReceivedSnapshot } from "./agent-events.ts";
import type { MemberStorage } from "./disk/open-storage.ts";
import type { SnapshotExchange } from "./disk/snapshot-exchange.ts";
import { raftOptions } from "./from-config.ts";
import { RepairReceiver } from "./loops/repair-receiver.ts";
import { watchApplying } from "./loops/slow-apply.ts";

/** How long a turn of the event loop applies entries; the rest yields to other work. */
const applyingMs = 20;

export type ConsensusParts = {
  readonly storage: MemberStorage;
  readonly snapshots: SnapshotExchange;
  readonly machine: StateMachine;
  readonly transport: PeerTransport;
  readonly random: Random;
};

export type Consensus = {
  readonly raft: Raft;
  readonly driver: ConsensusDriver;
  readonly client: ConsensusClient;
  /** Also a member whose configuration is in the log and not applied yet. */
  isMember(id: MemberId): boolean;
  /** Replaces the state of a member whose data differs from the others'. */
  readonly stateRepair: StateRepair;
  /** Accepts and issues nothing any more. */
  stop(): void;
};

/** Nothing happens before the core receives a tick or a message. */
export function openConsensus(config: AgentConfig, parts: ConsensusParts, events: AgentEvents): Consensus {
  const { storage, snapshots, machine, transport, random } = parts;
  const { identity, wal, store, restored } = storage;
  const raft = new Raft(raftOptions(config, identity.memberId, random), restored);
  const install = (index: LogIndex): Promise<void> => installSnapshot(snapshots, index, events);
  const driver: ConsensusDriver = new ConsensusDriver(
    {
      raft,
      wal,
      machine: watchApplying(machine, {
        warningMs: config.warningApplyDurationMs,
        onSlow: (index, tookMs) => events.emit("appliedSlowly", index, tookMs),
      }),
      send: (message) => transport.send(message),
      flush: () => transport.flush(),
      sendSnapshot: (request) => snapshots.send(request, { driver, raft, transport }),
      installSnapshot: install,
      // Responses sent meanwhile leave in this turn of the event loop, not in the next.
      defer: (run) =>
        setImmediate(() => {
          run();
          events.emit("turnEnded");
        }),
      beginApplying: () => {
        const endMs = performance.now() + applyingMs;
        return () => performance.now() >= endMs;
      },
    },
    reportTo(events),
    { diskStallMs: config.electionTimeoutMs },
  );
  const client = openClient(config, parts, driver, events);
  const repairReceiver = new RepairReceiver({
    appliedIndex: () => store.consistentIndex,
    suspendApplying: () => driver.suspendApplying(),
    install,
  });
  const isMember = (id: MemberId): boolean => {
    if (id === identity.memberId || machine.membership.get(id) !== undefined) return true;
    const { voters, votersOutgoing, learners } = raft.status().configuration;
    return [voters, votersOutgoing, learners].some((ids) => ids.includes(id));
  };
  receiveFromPeers(events, { driver, client, isMember, repairReceiver });
  return {
    raft,
    driver,
    client,
    isMember,
    stateRepair: {
      expect: () => repairReceiver.expect(),
      send: (member) => snapshots.sendRepairSnapshot(member, { driver, raft, transport }),
    },
    stop: () => {
      repairReceiver.stop();
      driver.stop();
    },
  };
}

function reportTo(events: AgentEvents): DriverListener {
  return {
    softState: (state) => events.emit("softStateChanged", state),
    applied: (index, bytes) => events.emit("applied", index, bytes),
    readConfirmed: (context, index) => events.emit("readConfirmed", context, index),
    readFailed: (context) => events.emit("readFailed", context),
    failed: (error) => events.emit("failed", error),
  };
}

async function installSnapshot(snapshots: SnapshotExchange, index: LogIndex, events: AgentEvents): Promise<void> {
  events.emit("snapshotApplying", true);
  try {
    await snapshots.install(index);
  } finally {
    events.emit("snapshotApplying", false);
  }
}

/** The first subscriber to the events of the driver and the peers: services read the changes from it. */
function openClient(
  config: AgentConfig,
  { storage, transport }: ConsensusParts,
  driver: ConsensusDriver,
  events: AgentEvents,
): ConsensusClient {
  const { identity, store } = storage;
  const client = new ConsensusClient({
    memberId: identity.memberId,
    electionTimeoutMs: config.electionTimeoutMs,
    clock: systemClock,
    driver,
    appliedIndex: () => store.consistentIndex,
    transport,
    servePeer: (from, request, answer) => events.emit("peerRequest", { from, request, answer, reject: () => {} }),
  });
  events.on("softStateChanged", (state) => {
    const isElected = state.leader !== null && state.leader !== client.leader();
    client.softStateChanged(state);
    if (isElected) events.emit("leaderElected", state);
  });
  events.on("peerConnected", (peer) => client.peerConnected(peer));
  events.on("peerDisconnected", (peer) => client.peerDisconnected(peer));
  return client;
}

type PeerTraffic = Pick<Consensus, "driver" | "client" | "isMember"> & { readonly repairReceiver: RepairReceiver };

function receiveFromPeers(events: AgentEvents, traffic: PeerTraffic): void {
  const { driver, isMember } = traffic;
  events.on("message", (message) => {
    // Requests of clients through another member are executed in the name of the user that it states.
    if (message.kind === "forwardedProposals" && !isMember(message.from)) return;
    driver.step({ kind: "message", message });
  });
  events.on("peerDisconnected", (peer) => driver.step({ kind: "peerDisconnected", peer }));
  events.on("snapshotReceived", (snapshot) => {
    receiveSnapshot(snapshot, traffic).then(snapshot.taken, snapshot.failed);
  });
}

async function receiveSnapshot(
  { from, term, metadata }: ReceivedSnapshot,
  { driver, client, repairReceiver }: PeerTraffic,
): Promise<void> {
  if (repairReceiver.isExpected) return repairReceiver.take(metadata.index);
  const message = { kind: "snapshotRequest", from, to: client.memberId, term, snapshot: metadata } as const;
  driver.step({ kind: "message", message });
}
