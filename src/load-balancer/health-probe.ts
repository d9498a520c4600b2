/**
 * Probes one backend: first its health endpoint, and if that is slow also its version, which every member serves
 * without a quorum. This distinguishes a member that waits for a leader from one that is stopped.
 */
import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { errorText, systemErrorCode } from "../base/haplan-error.ts";
import type { TlsCredentials } from "../base/tls-credentials.ts";
import type { ProbeOutcome } from "./backend.ts";

export type HealthCheck = {
  readonly path: string;
  readonly timeoutMs: number;
  /** Absent: backends answer at the port for clients. */
  readonly port?: number;
  /** Opens connections; each probe a new one, so that it also proves that connecting works. TLS sessions are reused. */
  readonly agent: HttpAgent | HttpsAgent;
};

/** Null: without TLS. `unverified`: over TLS, whatever certificate the backend has, and without one of its own. */
export type CheckTls = TlsCredentials | "unverified" | null;

const livenessPath = "/version";
const bodyBytesMax = 64 * 1024;

export function createHealthCheck(settings: Omit<HealthCheck, "agent">, tls: CheckTls): HealthCheck {
  const { path, timeoutMs, port } = settings;
  return { path, timeoutMs, agent: createAgent(tls), ...(port === undefined ? {} : { port }) };
}

function createAgent(tls: CheckTls): HttpAgent | HttpsAgent {
  if (tls === null) return new HttpAgent({ keepAlive: false });
  if (tls === "unverified") return new HttpsAgent({ rejectUnauthorized: false, keepAlive: false });
  return createHttpsAgent(tls);
}

function createHttpsAgent({ caPem, certificatePem, keyPem }: TlsCredentials): HttpsAgent {
  return new HttpsAgent({ ca: caPem, cert: certificatePem, key: keyPem, keepAlive: false });
}

/** Never rejects; takes at most the check's timeout. */
export async function probe(target: { address: string; port: number }, check: HealthCheck): Promise<ProbeOutcome> {
  const deadline = AbortSignal.timeout(check.timeoutMs);
  const health = ask(target, check, check.path, deadline);
  const first = await Promise.race([health, pause(check.timeoutMs / 2, deadline)]);
  if (first !== null && "status" in first) return judge(first.status, check.path);
  if (first !== null && isCertain(first.error)) return dead(first.error, true);
  const liveness = await ask(target, check, livenessPath, deadline);
  const late = await health;
  if ("status" in late) return judge(late.status, check.path);
  if ("status" in liveness) return { kind: "alive", reason: `${check.path} did not answer in time` };
  return dead(late.error, isCertain(late.error));
}

function judge(status: number, path: string): ProbeOutcome {
  if (status === 200) return { kind: "ready" };
  // The status that the path asks a stopping member to return: `?stopping=404`.
  const stopping = new URL(path, "http://member").searchParams.get("stopping");
  return { kind: stopping === String(status) ? "stopping" : "alive", reason: `${path} answered ${status}` };
}

function dead(error: unknown, certain: boolean): ProbeOutcome {
  const code = systemErrorCode(error);
  const timedOut = code === "ABORT_ERR" || (error instanceof Error && error.name === "TimeoutError");
  return { kind: "dead", certain, reason: timedOut ? "did not answer in time" : errorText(error) };
}

/** The port refuses connections: another try is pointless. */
export function isCertain(error: unknown): boolean {
  return ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"].includes(systemErrorCode(error) ?? "");
}

type Answer = { readonly status: number } | { readonly error: unknown };

function ask(
  target: { address: string; port: number },
  check: HealthCheck,
  path: string,
  signal: AbortSignal,
): Promise<Answer> {
  const send = check.agent instanceof HttpsAgent ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const options = { host: target.address, port: check.port ?? target.port, path, agent: check.agent, signal };
    const asked = send(options, (response) => {
      let received = 0;
      response.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received > bodyBytesMax) response.destroy();
      });
      response.on("error", () => resolve({ status: response.statusCode ?? 0 }));
      response.on("close", () => resolve({ status: response.statusCode ?? 0 }));
    });
    asked.on("error", (error) => resolve({ error }));
    asked.end();
  });
}

function pause(ms: number, signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve(null);
    }
    signal.addEventListener("abort", done, { once: true });
  });
}
