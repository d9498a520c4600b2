/** Tells a program and a server what `haplan watch` finds and does. A failure to tell stops no repair. */
import { execa } from "execa";
import { errorText } from "../../../src/base/haplan-error.ts";
import type { WrittenRecord } from "./audit-log.ts";
import type { RepairPolicy } from "./decide-repair.ts";

const notifyTimeoutMs = 10_000;

/** Returns what has failed. */
export async function notify(
  policy: RepairPolicy["notify"],
  cluster: string,
  record: WrittenRecord,
): Promise<readonly string[]> {
  if (policy === undefined) return [];
  const body = JSON.stringify({ cluster, ...record });
  const failures = await Promise.all([runCommand(policy.command, body), postTo(policy.webhook, body)]);
  return failures.filter((failure) => failure !== null);
}

async function runCommand(command: readonly string[] | undefined, input: string): Promise<string | null> {
  const [file, ...words] = command ?? [];
  if (file === undefined) return null;
  const { failed, shortMessage } = await execa(file, words, {
    input,
    reject: false,
    timeout: notifyTimeoutMs,
    stdout: "ignore",
    stderr: "ignore",
  });
  return failed ? (shortMessage ?? `${file} failed`) : null;
}

async function postTo(url: string | undefined, body: string): Promise<string | null> {
  if (url === undefined) return null;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      redirect: "error",
      signal: AbortSignal.timeout(notifyTimeoutMs),
    });
    return response.ok ? null : `${new URL(url).host} answered ${response.status}`;
  } catch (error) {
    return `The webhook failed: ${errorText(error)}`;
  }
}
