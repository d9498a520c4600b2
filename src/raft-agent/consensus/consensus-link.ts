/** What services see of consensus: the port they were written against, over the run loop and the transport. */
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
  decodePeerAnswer,
  encodePeerRequest,
  type PeerAnswer,
  type PeerRequest,
  type PeerRequestKind,
  peerRequestKind,
} from "./peer-request.ts";

export type ConsensusLinkParts = {
  readonly driver: ConsensusDriver;
  readonly transport: Pick<PeerTransport, "request" | "versionWith">;
  /** What other members' requests are answered with. */
  readonly answerPeer: (from: MemberId, request: PeerRequest, done: (answer: PeerAnswer) => void) => void;
};

export class ConsensusLink implements ConsensusPort {
  readonly memberId: MemberId;
  readonly electionTimeoutMs: number;
  readonly #appliedIndex: () => LogIndex;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #connectedSinceMs = new Map<MemberId, number>();
  #parts: ConsensusLinkParts | null = null;
  #soft: SoftState = { role: "follower", leader: null, term: 0 };

  constructor(options: {
    memberId: MemberId;
    electionTimeoutMs: number;
    appliedIndex: () => LogIndex;
    clock: Pick<Clock, "monotonicMs">;
  }) {
    this.memberId = options.memberId;
    this.electionTimeoutMs = options.electionTimeoutMs;
    this.#appliedIndex = options.appliedIndex;
    this.#clock = options.clock;
  }

  /** Services are made before the run loop that applies to them; this closes the circle. */
  connect(parts: ConsensusLinkParts): void {
    this.#parts = parts;
    const { role, leader, term } = parts.driver.status();
    this.#soft = { role, leader, term };
  }

  softStateChanged(soft: SoftState): void {
    this.#soft = soft;
  }

  peerConnected(peer: MemberId): void {
    this.#connectedSinceMs.set(peer, this.#clock.monotonicMs());
  }

  peerDisconnected(peer: MemberId): void {
    this.#connectedSinceMs.delete(peer);
  }

  leader = (): MemberId | null => this.#soft.leader;
  term = (): number => this.#soft.term;
  commitIndex = (): LogIndex => this.#connected.driver.commitIndex;
  appliedIndex = (): LogIndex => this.#appliedIndex();

  status(): ConsensusStatus {
    const { role, term, leader, lastIndex, commitIndex, configuration, peers } = this.#connected.driver.status();
    const progress = [...peers].map(([member, { matchIndex, recentlyActive }]) => ({
      member,
      matchIndex,
      active: recentlyActive,
    }));
    return { role, term, leader, lastIndex, commitIndex, appliedIndex: this.#appliedIndex(), configuration, progress };
  }

  propose: ConsensusPort["propose"] = (payload) => this.#connected.driver.propose(payload);
  onTickEnd: ConsensusPort["onTickEnd"] = (run) => this.#connected.driver.onTickEnd(run);
  requestReadIndex: ConsensusPort["requestReadIndex"] = (context) => this.#connected.driver.requestRead(context);
  changeConfiguration: ConsensusPort["changeConfiguration"] = (change) =>
    this.#connected.driver.changeConfiguration(change);

  transferLeadership(to: MemberId): void {
    this.#connected.driver.step({ kind: "transferLeadership", to });
  }

  connectedMs(member: MemberId): number | null {
    const sinceMs = this.#connectedSinceMs.get(member);
    return sinceMs === undefined ? null : this.#clock.monotonicMs() - sinceMs;
  }

  askPeer(member: MemberId, request: PeerRequest, done: (answer: PeerAnswer | null) => void): void {
    const { transport, answerPeer } = this.#connected;
    if (member === this.memberId) {
      answerPeer(member, request, done);
      return;
    }
    const kind = peerRequestKind(transport.versionWith(member) ?? 1);
    transport.request(member, kind, encodePeerRequest(kind, request), 5 * this.electionTimeoutMs).then(
      (answer) => done(readAnswer(kind, member, answer)),
      () => done(null),
    );
  }

  get #connected(): ConsensusLinkParts {
    if (this.#parts === null) throw new Error("Invariant broken: services ask consensus before it exists");
    return this.#parts;
  }
}

function readAnswer(kind: PeerRequestKind, member: MemberId, bytes: Uint8Array): PeerAnswer {
  try {
    return decodePeerAnswer(kind, bytes);
  } catch (error) {
    const text = `haplan-agent: the answer of member ${member} cannot be read: ${errorText(error)}`;
    return { code: StatusCode.internal, text, message: emptyBytes };
  }
}
