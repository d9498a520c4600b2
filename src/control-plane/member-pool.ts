/**
 * Channels to all known members. Members report the others, so an outdated endpoint list is enough to find all of them;
 * a member that does not answer costs one timeout, in parallel with all others.
 */

import { systemClock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { CallChannel } from "../etcd-client/call-channel.ts";
import { EtcdClient } from "../etcd-client/etcd-client.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import type { ProbeListener } from "./control-plane.ts";
import { type ProbeResult, probeMember } from "./member-probe.ts";

/** A healthy member answers within milliseconds; an unhealthy one should not delay the others for long. */
const probeTimeoutMs = 2000;

export type RepeatOptions = {
  /** Whether another member, or the same one later, is called after this error. */
  readonly mayRepeat?: (error: unknown) => boolean;
  readonly pauseMs?: number;
  /** How long one member may take before the next one is called. */
  readonly attemptTimeoutMs?: number;
};

export class MemberPool {
  readonly #endpoints: readonly string[];
  readonly #open: (endpoint: string) => CallChannel;
  readonly #clients = new Map<string, EtcdClient>();
  /** The endpoint that answered last is called first. */
  #preferred: string | null = null;

  constructor(endpoints: readonly string[], open: (endpoint: string) => CallChannel) {
    this.#endpoints = endpoints;
    this.#open = open;
  }

  client(endpoint: string): EtcdClient {
    let client = this.#clients.get(endpoint);
    if (client === undefined) {
      client = new EtcdClient(this.#open(endpoint));
      this.#clients.set(endpoint, client);
    }
    return client;
  }

  /** Queries all known endpoints, then members that they report and that were not among them. One answer per member. */
  async probeAll(onProbe: ProbeListener = () => {}): Promise<ProbeResult[]> {
    const first = await this.#probe(this.#endpoints, onProbe);
    const answered = new Set(first.map((answer) => answer.status.memberId));
    const unseen = first
      .flatMap((answer) => answer.listing.members)
      .filter((member) => !answered.has(member.id))
      .flatMap((member) => member.clientUrls)
      .filter((url) => !this.#endpoints.includes(url));
    const second = await this.#probe([...new Set(unseen)], onProbe);
    return [...new Map([...first, ...second].map((answer) => [answer.status.memberId, answer])).values()];
  }

  async #probe(endpoints: readonly string[], onProbe: ProbeListener): Promise<ProbeResult[]> {
    const answers = await Promise.all(
      endpoints.map((endpoint) => {
        onProbe(endpoint, false);
        const probe = probeMember(endpoint, this.client(endpoint), probeTimeoutMs);
        return probe.finally(() => onProbe(endpoint, true));
      }),
    );
    return answers.filter((answer) => answer !== null);
  }

  /**
   * Sends a request to one member after the other, and again, until one answers or the time is up. A rejection is an
   * answer; an unreachable, slow or leaderless member has not answered.
   * @throws the most informative error; HaplanError `control-plane/no-endpoint` if there is no endpoint.
   */
  async tryEach<Answer>(
    request: (client: EtcdClient) => Promise<Answer>,
    timeoutMs: number,
    { mayRepeat = isNoAnswer, pauseMs = 100, attemptTimeoutMs = 3_000 }: RepeatOptions = {},
  ): Promise<Answer> {
    const deadline = performance.now() + timeoutMs;
    let failure: unknown = new HaplanError("control-plane/no-endpoint", "There is no endpoint to call");
    if (this.#endpoints.length === 0) throw failure;
    for (;;) {
      for (const endpoint of this.#inOrder()) {
        const leftMs = Math.ceil(deadline - performance.now());
        if (leftMs <= 0) throw failure;
        try {
          const answer = await request(this.client(endpoint).within(Math.min(leftMs, attemptTimeoutMs)));
          this.#preferred = endpoint;
          return answer;
        } catch (error) {
          if (!mayRepeat(error)) throw error;
          // "No leader" from one member is more informative than another one being unreachable.
          if (isFromMember(error) || !isFromMember(failure)) failure = error;
        }
      }
      await systemClock.sleep(pauseMs);
    }
  }

  #inOrder(): readonly string[] {
    const preferred = this.#preferred;
    if (preferred === null) return this.#endpoints;
    return [preferred, ...this.#endpoints.filter((endpoint) => endpoint !== preferred)];
  }

  close(): void {
    for (const { grpc } of this.#clients.values()) void grpc.close();
    this.#clients.clear();
  }
}

/** A member without a vote serves next to nothing: voters do. */
export function isLearnerRefusal(error: unknown): boolean {
  return error instanceof GrpcError && error.message === "etcdserver: rpc not supported for learner";
}

/** Retryable: another member, or the same one later, may succeed. */
function isNoAnswer(error: unknown): boolean {
  const codes: readonly number[] = [StatusCode.unavailable, StatusCode.deadlineExceeded, StatusCode.cancelled];
  return isLearnerRefusal(error) || (error instanceof GrpcError && codes.includes(error.code));
}

/** All of etcd's own errors start like this. */
function isFromMember(error: unknown): boolean {
  return error instanceof GrpcError && error.message.startsWith("etcdserver: ");
}
