/** The host key of a new instance, from what cloud-init prints to its console: AWS vouches for it, and nothing else is trusted. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { CallOptions } from "./aws-client.ts";
import { type AwsContext, until } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import type { FoundInstance } from "./instances.ts";

const consoleTimeoutMs = 420_000;

/** @throws HaplanError `aws/timed-out` with what to do for an image that does not print its keys */
export async function readHostKey(context: AwsContext, instance: FoundInstance, signal?: AbortSignal): Promise<string> {
  const { id, machine } = instance;
  const options = { purpose: `read the console of ${machine}`, signal };
  const wait = {
    subject: machine,
    what: `the host key of ${machine} on its console`,
    timeoutMs: consoleTimeoutMs,
    intervalMs: 5_000,
    signal,
  };
  try {
    return await until(context, wait, async () => {
      const Output = await readConsole(context, id, options);
      const key = parseHostKey(Buffer.from(Output, "base64").toString("utf8"));
      return key === null ? { waiting: "cloud-init has not printed it yet" } : { done: key };
    });
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code !== "aws/timed-out") throw error;
    const advice =
      "If the image does not print its keys, write `hostKeyFrom: known_hosts`, and add the key to known_hosts, or write it as `ssh.hostKey` of the machine";
    throw new HaplanError(error.code, `${error.message}\n${advice}`, { cause: error });
  }
}

/** What it has printed up to now; instance types before Nitro have only what was printed some minutes ago. */
async function readConsole({ client }: AwsContext, InstanceId: string, options: CallOptions): Promise<string> {
  try {
    return (await client.call("GetConsoleOutput", { InstanceId, Latest: true }, options)).Output ?? "";
  } catch (error) {
    if (causeCode(error) !== "UnsupportedOperation") throw error;
    return (await client.call("GetConsoleOutput", { InstanceId }, options)).Output ?? "";
  }
}

/** The Ed25519 key in the last of cloud-init's lists of public keys. Pure. */
export function parseHostKey(output: string): string | null {
  const lists = [...output.matchAll(/-----BEGIN SSH HOST KEY KEYS-----([\s\S]*?)-----END SSH HOST KEY KEYS-----/g)];
  const [, keys = ""] = lists.at(-1) ?? [];
  return /ssh-ed25519 AAAA[A-Za-z0-9+/]+={0,2}/.exec(keys)?.[0] ?? null;
}
