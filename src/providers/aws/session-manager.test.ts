/** How ssh reaches instances through Session Manager. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { InstanceIds } from "./instance-ids.ts";
import { checkSessionManager, sessionCommand, sessionManagerRoute } from "./session-manager.ts";

it("is a command of the AWS CLI, with the region, profile and endpoint of the spec", () => {
  expect(sessionCommand({ type: "aws" }, "i-0a1b")).toBe(
    "aws ssm start-session --target i-0a1b --document-name AWS-StartSSHSession --parameters portNumber=%p",
  );
  const provider = { type: "aws", region: "eu-central-1", profile: "my ops", endpoint: "http://127.0.0.1:5000/%7E" };
  expect(sessionCommand(provider, "i-0a1b")).toBe(
    "aws ssm start-session --target i-0a1b --document-name AWS-StartSSHSession --parameters portNumber=%p --region 'eu-central-1' --profile 'my ops' --endpoint-url 'http://127.0.0.1:5000/%%7E'",
  );
});

it("names the instance that has the address now, and is not used unless the spec says so", () => {
  const recorded = { name: "m1", generation: 1, attributes: { address: "10.0.1.10", instance_id: "i-1" } };
  const ids = new InstanceIds([recorded]);
  const route = sessionManagerRoute({ type: "aws", sessionManager: true }, ids);
  expect(route("10.0.1.10")).toContain("--target i-1 ");
  ids.add({ address: "10.0.1.10", id: "i-2" });
  expect(route("10.0.1.10")).toContain("--target i-2 ");
  expect(sessionManagerRoute({ type: "aws", sessionManager: false }, ids)("10.0.1.10")).toBeNull();
});

it("names what is missing on this machine before anything is done", () => {
  const provider = { type: "aws", sessionManager: true };
  const directory = mkdtempSync(join(tmpdir(), "haplan-session-manager-"));
  const program = join(directory, "aws");
  writeFileSync(program, "");
  chmodSync(program, 0o700);
  const summaries = (path: string): readonly string[] =>
    checkSessionManager(provider, path).map(({ summary }) => summary);
  expect(summaries("")).toEqual([
    "aws is not on the PATH of this machine",
    "session-manager-plugin is not on the PATH of this machine",
  ]);
  expect(summaries(`/nowhere:${directory}`)).toEqual(["session-manager-plugin is not on the PATH of this machine"]);
  expect(checkSessionManager({ type: "aws", sessionManager: false }, "")).toEqual([]);
  rmSync(directory, { recursive: true });
});
