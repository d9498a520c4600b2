/**
 * Whoever runs the cluster: brings it to the wanted number of voters, one joint change at a time, the haplan way. New
 * members come in as learners and get their votes once they have caught up; lost members go in the same change.
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
/** Of new members, one in so many never comes up. */
const stillbornOneIn = 8;

export class Operator {
  /** How many shall vote. */
  goal: number;
  /** No more machines that never come up. */
  isCareful = false;
  /** Told of each change of voters that is asked for, with those that shall vote from now on. */
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

  /** Nobody is missing, leaving or waiting. */
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
    this.#cluster.note([], `the operator asks for ${describe(request)}`);
    const call = new ClientCall(haplanPath(haplanMethods.changeMembers), ({ code, text }) => {
      // No machine is asked for twice: the change was made, and its answer lost.
      if (text.includes("already belongs to a member")) time.after(0, () => fail(text));
      over(code === StatusCode.ok);
    });
    time.after(answerTimeoutMs, () => over(false));
    const process = this.#askedMember(leader).process!;
    if (this.#cluster.mutations.addsVotersOneByOne === true && request.voters.length % 2 === 0) {
      process.driver.changeConfiguration({ target: request, context: new Uint8Array(0) });
    } else process.call(encodeHaplan(haplanMethods.changeMembers.input, request, "protobuf"), call);
  }

  /** Any member that runs: one that does not lead asks the leader. */
  #askedMember(leader: Host): Host {
    const { hosts, mutations, random } = this.#cluster;
    if (mutations.addsVotersOneByOne === true) return leader;
    const { membership } = leader.process!.services.machine;
    const running = [...hosts.values()].filter(
      ({ id, process }) => process !== null && membership.get(id) !== undefined,
    );
    return running[random.below(running.length)] ?? leader;
  }

  /** Machines whose members are gone and do not learn of it are switched off after a while; until then they may disturb. */
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

/** From the run's own loop: answers come in promises, which would swallow it. */
function fail(text: string): never {
  throw new Violation("changes made once", text);
}
