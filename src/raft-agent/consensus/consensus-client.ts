/** Implements `ConsensusPort`, the services' view of consensus, over the run loop and the transport. */
import type { Clock } from "../../base/clock.ts";
import { errorText } from "../../base/haplan-error.ts";
import { StatusCode } from "../api/status-code.ts";
import { emptyBytes } from "../api/wire.ts";
import type { LogIndex, MemberId } from "../raft/entry.ts";
import type { SoftState } from "../raft/ready.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";
import type { ConsensusDriver } from "./consensus-driver.ts";
import type { ConsensusPort, ConsensusStatus } from "./consensus-port.ts";
import {
  decodePeerResponse,
  encodePeerRequest,
  type PeerRequest,
  type PeerRequestKind,
  type PeerResponse,
  peerRequestKind,
} from "./peer-request.ts";

export type ConsensusClientOptions = {
  readonly memberId: MemberId;
  readonly electionTimeoutMs: number;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly driver: ConsensusDriver;
  readonly appliedIndex: () => LogIndex;
  readonly transport: Pick<PeerTransport, "request" | "versionWith" | "supportedVersion">;
  /** Serves a request that this member sends to itself, like those of other members. */
  readonly servePeer: (from: MemberId, request: PeerRequest, done: (answer: PeerResponse) => void) => void;
};

export class ConsensusClient implements ConsensusPort {
  readonly memberId: MemberId;
  readonly electionTimeoutMs: number;
  readonly #options: ConsensusClientOptions;
  readonly #driver: ConsensusDriver;
  readonly #connectedSinceMs = new Map<MemberId, number>();
  #soft: SoftState;

  constructor(options: ConsensusClientOptions) {
    this.memberId = options.memberId;
    this.electionTimeoutMs = options.electionTimeoutMs;
    this.#options = options;
    this.#driver = options.driver;
    const { role, leader, term } = options.driver.status();
    this.#soft = { role, leader, term };
  }

  softStateChanged(soft: SoftState): void {
    this.#soft = soft;
  }

  peerConnected(peer: MemberId): void {
    this.#connectedSinceMs.set(peer, this.#options.clock.monotonicMs());
  }

  peerDisconnected(peer: MemberId): void {
    this.#connectedSinceMs.delete(peer);
  }

  leader = (): MemberId | null => this.#soft.leader;
  isLeader = (): boolean => this.#soft.leader === this.memberId;
  term = (): number => this.#soft.term;
  commitIndex = (): LogIndex => this.#driver.commitIndex;
  appliedIndex = (): LogIndex => this.#options.appliedIndex();

  status(): ConsensusStatus {
    const { role, term, leader, lastIndex, commitIndex, configuration, peers } = this.#driver.status();
    const progress = [...peers].map(([member, { matchIndex, recentlyActive }]) => ({
      member,
      matchIndex,
      active: recentlyActive,
    }));
    return {
      role,
      term,
      leader,
      lastIndex,
      commitIndex,
      appliedIndex: this.#options.appliedIndex(),
      configuration,
      progress,
    };
  }

  propose: ConsensusPort["propose"] = (payload) => this.#driver.propose(payload);
  onTickEnd: ConsensusPort["onTickEnd"] = (run) => this.#driver.onTickEnd(run);
  requestReadIndex: ConsensusPort["requestReadIndex"] = (context) => this.#driver.requestRead(context);
  changeConfiguration: ConsensusPort["changeConfiguration"] = (change) => this.#driver.changeConfiguration(change);

  transferLeadership(to: MemberId): void {
    this.#driver.step({ kind: "transferLeadership", to });
  }

  connectedMs(member: MemberId): number | null {
    const sinceMs = this.#connectedSinceMs.get(member);
    return sinceMs === undefined ? null : this.#options.clock.monotonicMs() - sinceMs;
  }

  supportedVersion(member: MemberId): number | null {
    return this.#options.transport.supportedVersion(member);
  }

  callPeer(member: MemberId, request: PeerRequest, done: (answer: PeerResponse | null) => void): void {
    const { transport, servePeer } = this.#options;
    if (member === this.memberId) {
      servePeer(member, request, done);
      return;
    }
    const kind = peerRequestKind(transport.versionWith(member) ?? 1);
    transport.request(member, kind, encodePeerRequest(kind, request), 5 * this.electionTimeoutMs).then(
      (answer) => done(readResponse(kind, member, answer)),
      () => done(null),
    );
  }
}

function readResponse(kind: PeerRequestKind, member: MemberId, bytes: Uint8Array): PeerResponse {
  try {
    return decodePeerResponse(kind, bytes);
  } catch (error) {
    const text = `haplan-agent: cannot decode the response of member ${member}: ${errorText(error)}`;
    return { code: StatusCode.internal, text, message: emptyBytes };
  }
}
