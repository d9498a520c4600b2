/**
 * The operator of the cluster: brings it to the goal number of voters, one joint change at a time, like haplan. New
 * members join as learners and are promoted once they have caught up; lost members are removed in the same change.
 */

import { encodeHaplan, haplanMethods, haplanPath } from "../../src/raft-agent/api/haplan-messages.ts";
import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import type { ConsensusStatus } from "../../src/raft-agent/consensus/consensus-port.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import { ClientCall } from "./client-call.ts";
import type { Cluster } from "./cluster.ts";
import type { Host } from "./host.ts";
import { Violation } from "./violation.ts";

type WantedMembers = {
  readonly voters: MemberId[];
  readonly learners: MemberId[];
  readonly add?: { peerUrls: string[] }[];
};

const periodMs = 250;
const answerTimeoutMs = 8_000;
const retireAfterMs = 4_000;
/** Of new members, one in this many never starts. */
const stillbornOneIn = 8;

export class Operator {
  /** The goal number of voters. */
  goal: number;
  /** No more machines that never start. */
  isCareful = false;
  /** Called for each requested change of voters, with the new voters. */
  onChange: (voters: readonly MemberId[]) => void = () => {};
  readonly #cluster: Cluster;
  readonly #removedSinceMs = new Map<MemberId, number>();
  #busy = false;
  #addedCount = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.goal = cluster.profile.members;
    this.#schedule();
  }

  /** No member is missing, leaving or pending. */
  isSettled(): boolean {
    const status = this.#cluster.leaderHost()?.process?.link.status();
    if (status === undefined) return false;
    const { voters, votersOutgoing, learners } = status.configuration;
    if (voters.length !== this.goal || votersOutgoing.length > 0 || learners.length > 0) return false;
    return voters.every((id) => this.#isWanted(id));
  }

  #schedule(): void {
    this.#cluster.time.after(periodMs, () => {
      this.#work();
      this.#schedule();
    });
  }

  #work(): void {
    const leader = this.#cluster.leaderHost();
    if (leader === null || this.#busy) return;
    const process = leader.process!;
    const members = process.services.machine.membership.list();
    this.#cluster.provision(members, () => !this.isCareful && this.#cluster.random.below(stillbornOneIn) === 0);
    const request = this.#nextChange(leader, process.link.status());
    if (request !== null) this.#change(leader, request);
    this.#retireRemoved(members.map(({ id }) => id));
  }

  #nextChange(leader: Host, status: ConsensusStatus): WantedMembers | null {
    const { voters, votersOutgoing, learners } = leader.process!.services.machine.membership.configuration;
    if (votersOutgoing.length > 0) return null;
    const staying = voters.filter((id) => this.#isWanted(id));
    const coming = learners.filter((id) => this.#isWanted(id));
    const missing = this.goal - staying.length;
    if (missing <= 0 && staying.length === voters.length && learners.length === 0 && missing === 0) return null;
    if (missing <= 0) return { voters: staying.slice(0, this.goal), learners: [] };
    if (coming.length < missing) {
      const add = Array.from({ length: missing - coming.length }, () => this.#newMachine());
      return { voters: [...voters], learners: coming, add };
    }
    const ready = coming.slice(0, missing);
    if (!ready.every((id) => this.#hasCaughtUp(status, id))) return null;
    if (this.#cluster.mutations.addsVotersOneByOne === true) return { voters: [...voters, ready[0]!], learners: [] };
    return { voters: [...staying, ...ready], learners: [] };
  }

  #hasCaughtUp({ progress, lastIndex }: ConsensusStatus, id: MemberId): boolean {
    const peer = progress.find(({ member }) => member === id);
    return peer?.active === true && lastIndex - peer.matchIndex <= this.#cluster.profile.raft.maxLearnerLagEntries!;
  }

  #newMachine(): { peerUrls: string[] } {
    return { peerUrls: [`http://added-${++this.#addedCount}:2380`] };
  }

  #change(leader: Host, request: WantedMembers): void {
    const { time, statistics } = this.#cluster;
    this.#busy = true;
    let isOver = false;
    const over = (isDone: boolean): void => {
      if (isOver) return;
      isOver = true;
      this.#busy = false;
      if (isDone) statistics.membershipChanges++;
    };
    this.onChange(request.voters);
    this.#cluster.note([], `the operator requests ${describe(request)}`);
    const call = new ClientCall(haplanPath(haplanMethods.changeMembers), ({ code, text }) => {
      // No machine is added twice: the change was applied, and its response lost.
      if (text.includes("already belongs to a member")) time.after(0, () => fail(text));
      over(code === StatusCode.ok);
    });
    time.after(answerTimeoutMs, () => over(false));
    const process = this.#receivingMember(leader).process!;
    if (this.#cluster.mutations.addsVotersOneByOne === true && request.voters.length % 2 === 0) {
      process.driver.changeConfiguration({ target: request, context: new Uint8Array(0) });
    } else process.call(encodeHaplan(haplanMethods.changeMembers.input, request, "protobuf"), call);
  }

  /** Any running member: one that is not the leader forwards the request. */
  #receivingMember(leader: Host): Host {
    const { hosts, mutations, random } = this.#cluster;
    if (mutations.addsVotersOneByOne === true) return leader;
    const { membership } = leader.process!.services.machine;
    const running = [...hosts.values()].filter(
      ({ id, process }) => process !== null && membership.get(id) !== undefined,
    );
    return running[random.below(running.length)] ?? leader;
  }

  /**
   * Machines whose members were removed without noticing are switched off after a while; until then they may disturb
   * the cluster.
   */
  #retireRemoved(members: readonly MemberId[]): void {
    const { hosts, time } = this.#cluster;
    for (const host of hosts.values()) {
      if (members.includes(host.id)) {
        this.#removedSinceMs.delete(host.id);
        continue;
      }
      const sinceMs = this.#removedSinceMs.get(host.id) ?? time.nowMs;
      this.#removedSinceMs.set(host.id, sinceMs);
      if (time.nowMs - sinceMs > retireAfterMs) this.#cluster.retire(host);
    }
  }

  #isWanted(id: MemberId): boolean {
    const host = this.#cluster.hosts.get(id);
    return host !== undefined && !host.isLeaving && host.state !== "lost" && host.state !== "retired";
  }
}

function describe({ voters, learners, add = [] }: WantedMembers): string {
  const short = (ids: readonly MemberId[]): string => ids.map((id) => id.slice(0, 4)).join(" ");
  return `voters ${short(voters)}, learners ${short(learners)}, ${add.length} new ones`;
}

/** From the run's own loop: responses arrive in promises, which would swallow the error. */
function fail(text: string): never {
  throw new Violation("changes made once", text);
}
