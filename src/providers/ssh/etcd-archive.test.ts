import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fixtureSpec } from "../../../test/support/planned-cluster.ts";
import { EtcdArchive } from "./etcd-archive.ts";

const spec = fixtureSpec(["m1", "m2", "m3"], { engine: "etcd" });
let cwd: string;
let digest: string;

beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), "haplan-etcd-"));
  mkdirSync(join(cwd, "etcd-v3.6.14-linux-amd64"));
  writeFileSync(join(cwd, "etcd-v3.6.14-linux-amd64/etcd"), "");
  execFileSync("tar", ["-czf", "etcd.tar.gz", "etcd-v3.6.14-linux-amd64"], { cwd });
  writeFileSync(join(cwd, "text.tar.gz"), "this is no archive");
  digest = digestOf("etcd.tar.gz");
});
afterAll(() => rmSync(cwd, { recursive: true }));

function digestOf(file: string): string {
  return createHash("sha256")
    .update(readFileSync(join(cwd, file)))
    .digest("hex");
}

function archive(file: string, sha256: string, version: string): EtcdArchive | null {
  const etcd = { binary: `/opt/haplan/${sha256}/etcd`, version, archive: { file, sha256 } };
  return EtcdArchive.of({ spec: { ...spec, controlPlane: { ...spec.controlPlane, etcd } }, cwd });
}

it("is uploaded for masters alone, if it is what the spec says", async () => {
  expect(EtcdArchive.of({ spec, cwd })).toBe(null);
  const found = archive("etcd.tar.gz", digest.toUpperCase(), "3.6.14");
  expect([found?.isFor(["w1", "m2"]), found?.isFor(["w1", "load-balancer"])]).toEqual([true, false]);
  expect(await found?.diagnose(["m1"])).toEqual([]);
  expect(await found?.file()).toBe(join(cwd, "etcd.tar.gz"));
});

it.each([
  ["is not there", "other.tar.gz", () => digest, "3.6.14", /Cannot read the archive of etcd/],
  ["is another file", "etcd.tar.gz", () => "0".repeat(64), "3.6.14", /has the SHA-256 digest [0-9a-f]{64}, and etcd/],
  ["is of another version", "etcd.tar.gz", () => digest, "3.7.1", /is of etcd 3\.6\.14, and etcd\.version is 3\.7\.1/],
  ["is no archive", "text.tar.gz", () => digestOf("text.tar.gz"), "3.6.14", /cannot be unpacked/],
])("is refused before anything changes if it %s", async (_, file, sha256, version, text) => {
  const found = await archive(file, sha256(), version)?.diagnose(["m1"]);
  expect(found).toMatchObject([{ severity: "error", code: "etcd/archive" }]);
  expect(`${found?.[0]?.summary} ${found?.[0]?.detail}`).toMatch(text);
  expect(await archive(file, sha256(), version)?.diagnose(["w1"])).toEqual([]);
});
