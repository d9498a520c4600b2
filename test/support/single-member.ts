/**
 * For tests: a whole member over the real store in memory, with a consensus that commits and applies at once, and
 * calls that record what was sent. Tests control leadership, time and lost proposals.
 */

import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import type { ConsensusPort, PeerProgress } from "../../src/raft-agent/consensus/consensus-port.ts";
import type { Method, ServerCall, StreamHandler } from "../../src/raft-agent/grpc/call.ts";
import { MemoryBackend } from "../../src/raft-agent/mvcc/backend/backend.fake.ts";
import { openStore } from "../../src/raft-agent/mvcc/mvcc-store.ts";
import type { Store } from "../../src/raft-agent/mvcc/store.ts";
import type { Configuration } from "../../src/raft-agent/raft/configuration.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import { MemberServices, type MemberServicesOptions } from "../../src/raft-agent/services/member-services.ts";
import type { EntryVersions } from "../../src/raft-agent/state-machine/entry-versions.ts";
import { MembershipStore } from "../../src/raft-agent/state-machine/membership-store.ts";
import { StateMachine } from "../../src/raft-agent/state-machine/state-machine.ts";

export const self: MemberId = "8e9e05c52164694d";

export type RecordedCall = ServerCall & {
  readonly messages: Uint8Array[];
  status: { code: StatusCode; text: string } | null;
  /** The result of `send`: false simulates a client that does not read. */
  accepting: boolean;
  close(): void;
};

export type Harness = {
  readonly services: MemberServices;
  readonly clock: { nowMs: number };
  /** The state of consensus; tests change it. */
  readonly consensus: {
    leader: MemberId | null;
    term: number;
    index: number;
    lag: number;
    swallowProposals: boolean;
    /** How many turns of the microtask queue pass between a proposal and its application. */
    turnsToApply: number;
    swallowReads: boolean;
    progress: PeerProgress[];
    connectedMs: Map<MemberId, number>;
    supportedVersions: Map<MemberId, number>;
    peers: Map<MemberId, Pick<MemberServices, "servePeer">>;
  };
  unary(
    path: string,
    request: Uint8Array,
    headers?: Record<string, string>,
    remoteAddress?: string,
  ): Promise<RecordedCall>;
  stream(path: string, headers?: Record<string, string>): { call: RecordedCall; handler: StreamHandler };
};

function recordedCall(
  path: string,
  headers: Record<string, string> = {},
  done?: () => void,
  remoteAddress = "127.77.15.1:1",
): RecordedCall {
  let open = true;
  const call: RecordedCall = {
    path,
    messages: [],
    status: null,
    accepting: true,
    header: (name) => headers[name],
    clientCommonName: undefined,
    remoteAddress,
    get open() {
      return open;
    },
    send: (message) => {
      if (open) call.messages.push(message.slice());
      return call.accepting;
    },
    finish: (code = StatusCode.ok, text = "") => {
      if (!open) return;
      open = false;
      call.status = { code, text };
      done?.();
    },
    close: () => {
      open = false;
    },
  };
  return call;
}

export type WorldOptions = Partial<Omit<MemberServicesOptions, "machine" | "consensus">> & {
  readonly store?: Store;
  readonly versions?: EntryVersions;
};

export async function createHarness({ store: given, versions, ...overrides }: WorldOptions = {}): Promise<Harness> {
  const store = given ?? (await openStore({ backend: new MemoryBackend() }));
  const founder = { id: self, name: "m1", peerUrls: ["http://127.77.15.1:2380"], clientUrls: [], learner: false };
  new MembershipStore(store.metadata).seed([founder], { voters: [self], votersOutgoing: [], learners: [] });
  const clock = { nowMs: 1_700_000_000_000 };
  const consensus: Harness["consensus"] = {
    leader: self,
    term: 2,
    index: 0,
    lag: 0,
    swallowProposals: false,
    turnsToApply: 1,
    swallowReads: false,
    progress: [],
    connectedMs: new Map(),
    supportedVersions: new Map(),
    peers: new Map(),
  };
  const services: MemberServices = new MemberServices({
    machine: new StateMachine({ self, store, ...(versions === undefined ? {} : { versions }) }),
    consensus: createPort(consensus, () => services),
    clock: {
      now: () => clock.nowMs,
      monotonicMs: () => clock.nowMs,
      // Waiting ends at once, and the clock advances: polling loops end by their own deadline.
      sleep: async (ms) => {
        clock.nowMs += ms;
      },
    },
    clusterId: "cdf818194e3a8c32",
    clusterToken: "etcd-cluster",
    version: "3.6.1",
    quotaBytes: 0,
    ...overrides,
  });
  // As if the entry that opens the leader's term were applied.
  store.setConsistentIndex(consensus.index, consensus.term);
  services.leadershipChanged();
  const methods = new Map<string, Method>(services.methods.map((method) => [method.path, method]));
  return {
    services,
    clock,
    consensus,
    unary: (path, request, headers, remoteAddress) =>
      new Promise((resolve, reject) => {
        const method = methods.get(path);
        if (method?.kind !== "unary") return reject(new Error(`no unary method ${path}`));
        const call = recordedCall(path, headers, () => resolve(call), remoteAddress);
        method.handle(request, call);
      }),
    stream: (path, headers) => {
      const method = methods.get(path);
      if (method?.kind !== "stream") throw new Error(`no stream method ${path}`);
      const call = recordedCall(path, headers);
      return { call, handler: method.open(call) };
    },
  };
}

function afterTurns(turns: number, run: () => void): void {
  queueMicrotask(turns <= 1 ? run : () => afterTurns(turns - 1, run));
}

function createPort(state: Harness["consensus"], services: () => MemberServices): ConsensusPort {
  const configuration = (): Configuration => services().machine.membership.configuration;
  return {
    memberId: self,
    electionTimeoutMs: 1_000,
    leader: () => state.leader,
    isLeader: () => state.leader === self,
    term: () => state.term,
    commitIndex: () => state.index + state.lag,
    appliedIndex: () => state.index,
    status: () => ({
      role: state.leader === self ? "leader" : "follower",
      term: state.term,
      leader: state.leader,
      lastIndex: state.index,
      commitIndex: state.index,
      appliedIndex: state.index,
      configuration: configuration(),
      progress: [{ member: self, matchIndex: state.index, active: true }, ...state.progress],
    }),
    propose: (payload) => {
      if (state.leader === null) return { accepted: false, reason: "noLeader" };
      if (state.swallowProposals) return { accepted: true };
      afterTurns(state.turnsToApply, () => {
        state.index++;
        services().applyEntry(state.index, state.term, payload);
        services().applied(state.index);
      });
      return { accepted: true };
    },
    onTickEnd: queueMicrotask,
    requestReadIndex: (context) => {
      if (state.leader === null || state.swallowReads) return;
      queueMicrotask(() => services().readConfirmed(context, state.index));
    },
    changeConfiguration: ({ target, context }) => {
      if (state.leader !== self) return { accepted: false, reason: "notLeader", lagging: [] };
      const index = state.index + 1;
      if (state.swallowProposals) return { accepted: true, index };
      queueMicrotask(() => {
        state.index = index;
        services().applyConfiguration(index, state.term, { ...target, votersOutgoing: [] }, context);
        services().applied(index);
      });
      return { accepted: true, index };
    },
    transferLeadership: (to) => {
      state.leader = to;
    },
    supportedVersion: (member) => state.supportedVersions.get(member) ?? null,
    connectedMs: (member) => state.connectedMs.get(member) ?? null,
    callPeer: (member, request, done) => {
      const peer = member === self ? services() : state.peers.get(member);
      if (peer === undefined) done(null);
      else peer.servePeer(self, request, done);
    },
  };
}
