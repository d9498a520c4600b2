/** `Membership` stored in the store's metadata, together with the configuration and the cluster version. */
import type { Metadata } from "../mvcc/backend/backend.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { LogIndex, MemberId } from "../raft/entry.ts";
import type { ChangeId } from "./change-id.ts";
import { CompletedChanges } from "./completed-changes.ts";
import { firstProtocolVersion } from "./entry-versions.ts";
import {
  decodeMembershipContext,
  type Member,
  type MemberFields,
  Membership,
  type MembershipChange,
} from "./membership.ts";

/** etcd's bucket names; values are JSON. */
const membersBucket = "members";
const removedBucket = "members_removed";
const meta = "meta";
const cluster = "cluster";

export class MembershipStore extends Membership {
  /** Changes that were requested with an id. */
  readonly completed: CompletedChanges;
  readonly #metadata: Metadata;
  #clusterVersion = "";
  #configurationIndex: LogIndex = 0;
  #downgradeTarget = "";
  #replacedClusters: readonly string[] = [];
  #protocolVersion = firstProtocolVersion;

  constructor(metadata: Metadata) {
    super();
    this.#metadata = metadata;
    this.completed = new CompletedChanges(metadata);
  }

  /** The lowest version among the members, agreed on through the log; empty until the first leader has set it. */
  get clusterVersion(): string {
    return this.#clusterVersion;
  }

  setClusterVersion(version: string): void {
    this.#clusterVersion = version;
    this.#metadata.put(cluster, "clusterVersion", Buffer.from(version));
  }

  /** The protocol version agreed on by the cluster: entries that require a later one are not appended. */
  get protocolVersion(): number {
    return this.#protocolVersion;
  }

  /** It never decreases. */
  raiseProtocolVersion(version: number): void {
    if (version <= this.#protocolVersion) return;
    this.#protocolVersion = version;
    this.#metadata.put(cluster, "protocolVersion", json(version));
  }

  /** The entry that set the configuration; 0 for that of the initial members. The same on every member. */
  get configurationIndex(): LogIndex {
    return this.#configurationIndex;
  }

  /** The target version of a downgrade in progress, or empty. */
  get downgradeTarget(): string {
    return this.#downgradeTarget;
  }

  setDowngradeTarget(version: string): void {
    this.#downgradeTarget = version;
    this.#metadata.put(cluster, "downgradeTarget", Buffer.from(version));
  }

  load(): void {
    this.completed.load();
    const members = this.#metadata.entries(membersBucket).map(([, bytes]) => parse<Member>(bytes));
    const removed = this.#metadata.entries(removedBucket).map(([id]) => id);
    const configuration = this.#metadata.get(meta, "confState");
    const index = this.#metadata.get(meta, "confIndex");
    this.#configurationIndex = index === undefined ? 0 : parse<LogIndex>(index);
    this.#clusterVersion = text(this.#metadata.get(cluster, "clusterVersion"));
    const version = this.#metadata.get(cluster, "protocolVersion");
    this.#protocolVersion = version === undefined ? firstProtocolVersion : parse<number>(version);
    this.#downgradeTarget = text(this.#metadata.get(cluster, "downgradeTarget"));
    const replaced = this.#metadata.get(cluster, "replacedClusters");
    this.#replacedClusters = replaced === undefined ? [] : parse<readonly string[]>(replaced);
    this.replace(
      members,
      removed,
      configuration === undefined
        ? { voters: [], votersOutgoing: [], learners: [] }
        : parse<Configuration>(configuration),
    );
  }

  /**
   * Writes the initial members of a new cluster, the same on each of them, before the first entry. `replaces`: ids of the clusters
   * that it is rebuilt in place of.
   */
  seed(members: readonly Member[], configuration: Configuration, replaces: readonly string[] = []): void {
    this.replace(members, [], configuration);
    this.#keep({ changed: members, removed: [] });
    if (replaces.length === 0) return;
    this.#replacedClusters = replaces;
    this.#metadata.put(cluster, "replacedClusters", json(replaces));
  }

  /** Ids of the clusters that this one was rebuilt in place of: their members must not serve any more. */
  get replacedClusters(): readonly string[] {
    return this.#replacedClusters;
  }

  applyConfiguration(index: LogIndex, configuration: Configuration, context: Uint8Array): MembershipChange {
    this.#configurationIndex = index;
    this.#metadata.put(meta, "confIndex", json(index));
    const { added, changeId } = decodeMembershipContext(context);
    const change = this.change(configuration, { added });
    this.#keep(change);
    if (changeId !== undefined) this.completed.add(index, { id: changeId, added });
    return change;
  }

  /** Applies a client's change of a member once: an entry that repeats the change has no effect. */
  updateOnce(index: LogIndex, changeId: ChangeId | undefined, id: MemberId, fields: MemberFields): Member | null {
    if (changeId !== undefined && this.completed.get(changeId) !== undefined) return this.get(id) ?? null;
    const member = this.update(id, fields);
    if (member !== null && changeId !== undefined) this.completed.add(index, { id: changeId, added: [] });
    return member;
  }

  override update(id: MemberId, fields: MemberFields): Member | null {
    const member = super.update(id, fields);
    if (member !== null) this.#keep({ changed: [member], removed: [] });
    return member;
  }

  #keep(change: MembershipChange): void {
    for (const member of change.changed) this.#metadata.put(membersBucket, member.id, json(member));
    for (const id of change.removed) {
      this.#metadata.delete(membersBucket, id);
      this.#metadata.put(removedBucket, id, json(true));
    }
    this.#metadata.put(meta, "confState", json(this.configuration));
  }
}

function text(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : Buffer.from(bytes).toString("utf8");
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function parse<Value>(bytes: Uint8Array): Value {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as Value;
}
