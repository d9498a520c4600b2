/** etcd's cluster API: the members, and how they change. Ids are 16 hex digits, as etcdctl prints them. */
import { formatMemberId, parseMemberId } from "../base/member-id.ts";
import { Cluster, type Member } from "../raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { type CallChannel, callMethod } from "./call-channel.ts";
import type { CallOptions } from "./client-stream.ts";

export type ListedMember = {
  readonly id: string;
  /** Empty until the member has started. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly learner: boolean;
};

export type MemberListing = { readonly clusterId: string; readonly members: readonly ListedMember[] };

export class ClusterClient {
  readonly #channel: CallChannel;
  readonly #options: CallOptions;

  constructor(channel: CallChannel, options: CallOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /** Membership as a majority has it, unless `linearizable` is false: then as the member that is asked has it. */
  async memberList({ linearizable = true }: { readonly linearizable?: boolean } = {}): Promise<MemberListing> {
    const options = { ...this.#options, idempotent: true };
    const { header, members } = await callMethod(this.#channel, Cluster.method.memberList, { linearizable }, options);
    return { clusterId: formatMemberId(header?.clusterId ?? 0n), members: members.map(listedMember) };
  }

  /** Returns the id of the new member. */
  async addLearner(peerUrl: string): Promise<string> {
    const request = { peerURLs: [peerUrl], isLearner: true };
    const { member } = await callMethod(this.#channel, Cluster.method.memberAdd, request, this.#options);
    return formatMemberId(member?.ID ?? 0n);
  }

  async removeMember(memberId: string): Promise<void> {
    await callMethod(this.#channel, Cluster.method.memberRemove, { ID: parseMemberId(memberId) }, this.#options);
  }

  async updateMember(memberId: string, peerUrls: readonly string[]): Promise<void> {
    const request = { ID: parseMemberId(memberId), peerURLs: [...peerUrls] };
    await callMethod(this.#channel, Cluster.method.memberUpdate, request, this.#options);
  }

  async promoteMember(memberId: string): Promise<void> {
    await callMethod(this.#channel, Cluster.method.memberPromote, { ID: parseMemberId(memberId) }, this.#options);
  }
}

function listedMember(member: Member): ListedMember {
  return {
    id: formatMemberId(member.ID),
    name: member.name,
    peerUrls: member.peerURLs,
    clientUrls: member.clientURLs,
    learner: member.isLearner,
  };
}
