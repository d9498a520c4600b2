/**
 * How a new member discovers the members of a cluster: `GET /members` on the peer port, served and requested like etcd
 * (JSON list, cluster id in a header). Source: etcd server/etcdserver/api/etcdhttp/peer.go, cluster_util.go.
 */

import { request as httpRequest, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { request as httpsRequest } from "node:https";
import type { ConnectionOptions } from "node:tls";
import { HaplanError } from "../../base/haplan-error.ts";
import { formatMemberId, parseMemberId } from "../../base/member-id.ts";
import type { MemberId } from "../raft/entry.ts";
import type { Member } from "../state-machine/membership.ts";
import type { RunningCluster } from "./disk/member-identity.ts";

const clusterIdHeader = "x-etcd-cluster-id";
/** Of clusters that this one was rebuilt in place of. */
const replacesHeader = "x-haplan-replaces-clusters";
/** To a caller that is no member. */
const nonMemberStatus = 403;
const responseBytesMax = 1024 * 1024;
const requestTimeoutMs = 3_000;
/** Less than a caller waits for the response to its greeting. */
const searchTimeoutMs = 1_500;

type MemberJson = {
  readonly id: string;
  readonly peerURLs?: readonly string[];
  readonly isLearner?: boolean;
  readonly name?: string;
  readonly clientURLs?: readonly string[];
};

type ServedCluster = {
  readonly clusterId: string;
  /** Ids of clusters that this one was rebuilt in place of. */
  replaces?(): readonly string[];
};

/** Serves `GET /members` and `GET /version` to other members. */
export function createDirectoryHandler(
  directory: ServedCluster & { readonly version: string; members(): readonly Member[] },
): RequestListener {
  return (request, response) => {
    const path = (request.url ?? "/").split("?")[0];
    nameCluster(response, directory);
    response.setHeader("Content-Type", "application/json");
    if (request.method !== "GET") response.writeHead(405).end();
    else if (path === "/members") response.end(JSON.stringify(directory.members().map(toJson)));
    else if (path === "/version") {
      response.end(JSON.stringify({ etcdserver: directory.version, etcdcluster: directory.version }));
    } else response.writeHead(404).end();
  };
}

/**
 * Serves callers that this cluster has no member for: no member is listed, but a member of a former cluster learns from the headers
 * that another one has taken its place.
 */
export function createNonMemberHandler(cluster: ServedCluster): RequestListener {
  return (_, response) => {
    nameCluster(response, cluster);
    response.writeHead(nonMemberStatus, { Connection: "close" }).end();
  };
}

function nameCluster(response: ServerResponse, { clusterId, replaces }: ServedCluster): void {
  response.setHeader("X-Etcd-Cluster-ID", clusterId);
  const replaced = replaces?.() ?? [];
  if (replaced.length > 0) response.setHeader("X-Haplan-Replaces-Clusters", replaced.join(","));
}

/**
 * Asks the given peers in turn until one responds. Members are listed by one that knows the caller, if there is one. @throws HaplanError `agent/no-member-answers` naming the result of
 * each.
 */
export async function askForCluster(
  peerUrls: readonly string[],
  tls: ConnectionOptions | null,
): Promise<RunningCluster> {
  const failures: string[] = [];
  let toNonMember: RunningCluster | null = null;
  for (const peerUrl of peerUrls) {
    try {
      const answer = await callMember(new URL("/members", peerUrl), tls);
      if (answer.members.length > 0) return answer;
      toNonMember ??= answer;
    } catch (error) {
      failures.push(`${peerUrl}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (toNonMember !== null) return toNonMember;
  throw new HaplanError(
    "agent/no-member-answers",
    `Cannot join: no member of --initial-cluster responded (${failures.join("; ")})`,
  );
}

/** Asks all given peers concurrently for one member of the cluster; null when none of them knows it. */
export async function findMember(
  cluster: { readonly clusterId: string; readonly peerUrls: readonly string[] },
  member: MemberId,
  tls: ConnectionOptions | null,
): Promise<Member | null> {
  const answers = cluster.peerUrls.map(async (peerUrl) => {
    const { clusterId, members } = await callMember(new URL("/members", peerUrl), tls, searchTimeoutMs);
    const found = clusterId === cluster.clusterId ? members.find(({ id }) => id === member) : undefined;
    if (found === undefined) throw new Error("it does not know the member");
    return found;
  });
  return Promise.any(answers).catch(() => null);
}

function callMember(url: URL, tls: ConnectionOptions | null, timeoutMs = requestTimeoutMs): Promise<RunningCluster> {
  return new Promise((resolve, reject) => {
    const options = { timeout: timeoutMs, ...(tls ?? {}) };
    const request = url.protocol === "https:" ? httpsRequest(url, options) : httpRequest(url, options);
    request.once("timeout", () => request.destroy(new Error(`no response within ${timeoutMs} ms`)));
    request.once("error", reject);
    request.once("response", (response) => readCluster(response).then(resolve, reject));
    request.end();
  });
}

async function readCluster(response: IncomingMessage): Promise<RunningCluster> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > responseBytesMax) throw new Error("the response is too long");
    pieces.push(piece);
  }
  const clusterId = response.headers[clusterIdHeader];
  const isToNonMember = response.statusCode === nonMemberStatus;
  if ((response.statusCode !== 200 && !isToNonMember) || typeof clusterId !== "string")
    throw new Error(`HTTP status ${response.statusCode}`);
  if (!/^[0-9a-f]{1,16}$/.test(clusterId)) throw new Error(`the cluster id "${clusterId}" is not hexadecimal`);
  const members = isToNonMember ? [] : readMembers(Buffer.concat(pieces).toString("utf8"));
  const replaces = response.headers[replacesHeader];
  return {
    clusterId: clusterId.padStart(16, "0"),
    members,
    ...(typeof replaces === "string" ? { replaces: replaces.split(",") } : {}),
  };
}

/** @throws Error that names the member and the field. Unknown fields are ignored, all but the id may be missing. */
function readMembers(text: string): readonly Member[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error("the response is not a list of members");
  return list.map((entry: unknown, at) => {
    const fields = typeof entry === "object" && entry !== null ? (entry as { readonly [name: string]: unknown }) : {};
    const field = <Value>(name: keyof MemberJson, isValid: (value: unknown) => boolean, missing: Value): Value => {
      const value = fields[name] ?? missing;
      if (!isValid(value)) throw new Error(`member ${at} of the response has ${JSON.stringify(value)} as its ${name}`);
      return value as Value;
    };
    return {
      id: formatMemberId(BigInt(field("id", isDecimal, ""))),
      name: field("name", isText, ""),
      peerUrls: field<readonly string[]>("peerURLs", isTextList, []),
      clientUrls: field<readonly string[]>("clientURLs", isTextList, []),
      learner: field("isLearner", (value) => typeof value === "boolean", false),
    };
  });
}

const isText = (value: unknown): boolean => typeof value === "string";
const isTextList = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isDecimal = (value: unknown): boolean => typeof value === "string" && /^\d{1,20}$/.test(value);

/** Ids are decimal in etcd's JSON. */
function toJson(member: Member): MemberJson {
  return {
    id: parseMemberId(member.id).toString(),
    peerURLs: member.peerUrls,
    ...(member.learner ? { isLearner: true } : {}),
    name: member.name,
    clientURLs: member.clientUrls,
  };
}
