/** AWS's API on loopback, as moto emulates it: a server of its own for each test file. */

import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EC2Client } from "@aws-sdk/client-ec2";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { afterAll, beforeAll } from "vitest";
import { findPythonEnvironment } from "../../compatibility/python-environment.ts";

const requirements = fileURLToPath(new URL("requirements.txt", import.meta.url));
const serverProgram = fileURLToPath(new URL("serve.py", import.meta.url));
const startMs = 60_000;

export type AwsEmulator = {
  readonly endpoint: string;
  readonly ec2: EC2Client;
  readonly elb: ElasticLoadBalancingV2Client;
  /** Forgets everything. */
  reset(): Promise<void>;
  stop(): Promise<void>;
};

export const emulatedRegion = "eu-central-1";

/** Credentials that moto takes, and no file of the user's. */
export const emulatedEnvironment: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: "testing",
  AWS_SECRET_ACCESS_KEY: "testing",
  AWS_SESSION_TOKEN: "testing",
  AWS_CONFIG_FILE: "/dev/null",
  AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
  AWS_EC2_METADATA_DISABLED: "true",
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
};

/** Sets variables; returns how to restore them: files share a process. */
export function withEnvironment(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** Its packages are installed if `install` is true; otherwise, or where that fails, the reason. */
export function findEmulator(install: boolean): ReturnType<typeof findPythonEnvironment> {
  return findPythonEnvironment(requirements, install);
}

/** Starts the emulator for the tests of a `describe`, with credentials that it takes. It is there once they run. */
export function useEmulator(environment: Awaited<ReturnType<typeof findEmulator>>): { readonly aws: AwsEmulator } {
  let started: AwsEmulator | undefined;
  let restore: () => void;
  beforeAll(async () => {
    restore = withEnvironment(emulatedEnvironment);
    if ("missing" in environment) return;
    started = await startEmulator(environment);
  });
  afterAll(async () => {
    await started?.stop();
    restore();
  });
  return {
    get aws() {
      if (started === undefined) throw new Error("The emulator has not been started");
      return started;
    },
  };
}

export async function startEmulator(
  { directory }: { readonly directory: string },
  variables: Readonly<Record<string, string>> = {},
): Promise<AwsEmulator> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const server = spawn(join(directory, "bin/python"), [serverProgram, "-H", "127.0.0.1", "-p", String(port)], {
    stdio: "ignore",
    env: { ...process.env, ...emulatedEnvironment, ...variables },
  });
  await untilAnswers(endpoint, server);
  const options = {
    region: emulatedRegion,
    endpoint,
    credentials: { accessKeyId: "testing", secretAccessKey: "testing" },
  };
  const [ec2, elb] = [new EC2Client(options), new ElasticLoadBalancingV2Client(options)];
  return {
    endpoint,
    ec2,
    elb,
    reset: async () => void (await fetch(`${endpoint}/moto-api/reset`, { method: "POST" })),
    stop: async () => {
      ec2.destroy();
      elb.destroy();
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGKILL");
      await ended;
    },
  };
}

async function untilAnswers(endpoint: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + startMs;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`moto_server ended with exit code ${server.exitCode}`);
    const answered = await fetch(`${endpoint}/moto-api/data.json`).catch(() => null);
    if (answered?.ok) return;
    if (Date.now() > deadline) throw new Error("moto_server does not answer");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
