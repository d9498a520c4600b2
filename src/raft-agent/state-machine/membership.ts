/**
 * The members of the cluster: names and URLs, learners, and the ids of removed members.
 *
 * Configuration entries decide: their context contains the addresses of new members, and once a configuration is no
 * longer joint, every member that it does not name is removed, and its id is never reused. So a joint change of any
 * size needs no list of removals that could disagree with the configuration.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { MemberId } from "../raft/entry.ts";
import type { ChangeId } from "./change-id.ts";

export type Member = {
  readonly id: MemberId;
  /** Empty until the member has started and published its attributes through the log. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  /**
   * Requested as a learner. A member that was not, but is among the configuration's learners, waits for its promotion:
   * voters are added in odd numbers (see `pendingVoters`).
   */
  readonly learner: boolean;
};

/** The part of a configuration change that describes added members. */
export type AddedMember = Pick<Member, "id" | "peerUrls" | "learner">;
export type MembershipContext = {
  readonly added: readonly AddedMember[];
  /** Recorded once the change is applied (`CompletedChanges`). Older members ignore it and do not write it. */
  readonly changeId?: ChangeId;
};

/** For `ConfigurationChange.context`. */
export function encodeMembershipContext(context: MembershipContext): Uint8Array {
  if (context.added.length === 0 && context.changeId === undefined) return new Uint8Array(0);
  return Buffer.from(JSON.stringify(context));
}

/** Empty bytes mean that no member is new. @throws HaplanError `membership/context` when the bytes are damaged. */
export function decodeMembershipContext(bytes: Uint8Array): MembershipContext {
  if (bytes.length === 0) return { added: [] };
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as MembershipContext;
  } catch (cause) {
    throw new HaplanError("membership/context", "Cannot read the members of a configuration entry: damaged bytes", {
      cause,
    });
  }
}

/** The fields that may change without a new configuration. */
export type MemberFields = Partial<Pick<Member, "name" | "peerUrls" | "clientUrls" | "learner">>;

/** The effect of a change, for transport and disk. */
export type MembershipChange = { readonly changed: readonly Member[]; readonly removed: readonly MemberId[] };

const noConfiguration: Configuration = { voters: [], votersOutgoing: [], learners: [] };

export class Membership {
  readonly #members = new Map<MemberId, Member>();
  readonly #removed = new Set<MemberId>();
  #configuration: Configuration = noConfiguration;

  get configuration(): Configuration {
    return this.#configuration;
  }

  get(id: MemberId): Member | undefined {
    return this.#members.get(id);
  }

  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  removedIds(): MemberId[] {
    return [...this.#removed].sort();
  }

  /** Sorted by id, as in etcd. */
  list(): Member[] {
    return [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Replaces everything, at start or after a snapshot. */
  replace(members: readonly Member[], removed: readonly MemberId[], configuration: Configuration): void {
    this.#members.clear();
    this.#removed.clear();
    for (const member of members) this.#members.set(member.id, member);
    for (const id of removed) this.#removed.add(id);
    this.#configuration = configuration;
  }

  /** Members to be promoted, sorted by id. */
  pendingVoters(): MemberId[] {
    return this.#configuration.learners.filter((id) => this.#members.get(id)?.learner === false);
  }

  isReportedAsLearner(id: MemberId): boolean {
    return this.#members.get(id)?.learner === true;
  }

  /** Applies a committed configuration. */
  change(configuration: Configuration, context: MembershipContext): MembershipChange {
    const before = this.#configuration;
    this.#configuration = configuration;
    const changed = new Map<MemberId, Member>();
    for (const added of context.added) {
      if (this.#members.has(added.id) || this.#removed.has(added.id)) continue;
      changed.set(added.id, { ...added, name: "", clientUrls: [] });
    }
    const removed: MemberId[] = [];
    for (const member of [...this.#members.values(), ...changed.values()]) {
      const learner = isLearnerNow(member, before, configuration);
      if (isGone(member.id, configuration)) {
        removed.push(member.id);
        changed.delete(member.id);
      } else if (learner !== member.learner) {
        changed.set(member.id, { ...member, learner });
      }
    }
    for (const member of changed.values()) this.#members.set(member.id, member);
    for (const id of removed) {
      this.#members.delete(id);
      this.#removed.add(id);
    }
    return { changed: [...changed.values()], removed };
  }

  /** Changes name or URLs; null when there is no such member. */
  update(id: MemberId, fields: MemberFields): Member | null {
    const member = this.#members.get(id);
    if (member === undefined) return null;
    const updated = { ...member, ...fields };
    this.#members.set(id, updated);
    return updated;
  }
}

function isGone(id: MemberId, { voters, votersOutgoing, learners }: Configuration): boolean {
  return votersOutgoing.length === 0 && !voters.includes(id) && !learners.includes(id);
}

/** A voter is not a learner; a voter that was made a learner stays one until it is promoted. */
function isLearnerNow(member: Member, before: Configuration, now: Configuration): boolean {
  if (now.voters.includes(member.id)) return false;
  if (now.learners.includes(member.id) && before.voters.includes(member.id)) return true;
  return member.learner;
}
