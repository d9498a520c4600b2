/** Starts that fail, in the process in which the next one comes: nothing that they opened may be left. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, describe, expect, it } from "vitest";
import { createAgentConfig } from "../config/agent-config.ts";
import { readSettings } from "../config/read-settings.ts";
import { type Agent, startAgent } from "./agent.ts";

const host = "127.77.42.20";
const directory = mkdtempSync(join(tmpdir(), "haplan-agent-start-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function start(...flags: readonly string[]): Promise<Agent> {
  const settings = readSettings(
    [
      "--name=m1",
      `--data-dir=${join(directory, "m1")}`,
      `--listen-client-urls=http://${host}:2379`,
      `--advertise-client-urls=http://${host}:2379`,
      `--listen-peer-urls=http://${host}:2380`,
      `--initial-advertise-peer-urls=http://${host}:2380`,
      `--initial-cluster=m1=http://${host}:2380`,
      ...flags,
    ],
    {},
    () => "",
  );
  const logger = pino({ level: "silent" });
  return startAgent({ config: createAgentConfig(settings), logger, onStopped: () => {} });
}

describe("a start that fails leaves the log to the next one", () => {
  it("when a file that the services need is missing", async () => {
    const missing = join(directory, "missing.pem");
    const keys = `--auth-token=jwt,pub-key=${missing},priv-key=${missing},sign-method=RS256`;
    await expect(start(keys)).rejects.toThrow(/missing\.pem/);
    await (await start()).close();
  });

  it("when a port is taken", async () => {
    const other = createServer().listen(2379, host);
    await once(other, "listening");
    await expect(start()).rejects.toMatchObject({ code: "listen-failed" });
    other.close();
    await (await start()).close();
  });
});
