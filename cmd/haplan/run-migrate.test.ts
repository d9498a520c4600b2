/** What `haplan migrate` refuses, and what it has refused meanwhile; nothing is changed. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture, exampleSpec } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

const endpoints = '["http://127.77.65.1:2379", "http://127.77.65.2:2379", "http://127.77.65.3:2379"]';

const examples = dirname(exampleSpec);

/** An example, that of three masters unless another is named, with another cluster to migrate from. */
function writeSpec(name: string, change: (text: string) => string = (text) => text, example = exampleSpec): void {
  const text = readFileSync(example, "utf8");
  const from = `controlPlane:\n    migrateFrom: { endpoints: ${endpoints} }\n`;
  writeFileSync(join(cli.cwd, name), change(text.replace("controlPlane:\n", from)));
}

async function refusalOf(line: string): Promise<string> {
  const { code, out, err } = await cli.haplan(line);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  return err.replace(/\n│ */g, " ");
}

describe("migrate", () => {
  it.each([
    ["migrate three.yaml -auto-approve", "names no cluster to migrate from"],
    ["migrate new.yaml -auto-approve -rollback -finish", "-rollback and -finish exclude each other"],
    ["migrate new.yaml -auto-approve -rollback", "There is no migration"],
    ["migrate new.yaml -auto-approve -finish", "There is no migration"],
    ["plan new.yaml", "is made by a migration"],
    ["apply new.yaml -auto-approve", "haplan migrate"],
  ])("14/4: %s is refused", async (line, text) => {
    writeSpec("new.yaml");
    expect(await refusalOf(line)).toContain(text);
    expect(existsSync(join(cli.cwd, ".haplan"))).toBe(false);
  });

  const kubernetes = "  kubernetes: { version: 1.35.4, podSubnet: 10.244.0.0/16 }\n";
  const same = (spec: string): string => spec;

  it.each([
    ["the load balancer of a cloud", "aws-3-masters", same, "The load balancer is of type nlb"],
    ["Kubernetes", "ha-3-masters", (spec: string) => spec + kubernetes, "does not move Kubernetes"],
  ])("14/4: %s is refused before anything is asked or written", async (_, example, change, text) => {
    writeSpec("new.yaml", change, join(examples, `${example}.yaml`));
    for (const flags of ["", " -rollback", " -finish"])
      expect(await refusalOf(`migrate new.yaml -auto-approve${flags}`)).toContain(text);
    expect(readdirSync(cli.cwd).toSorted()).toEqual(["new.yaml", "three.yaml"]);
  });

  it("14/4: an HAProxy that has connections to members is refused", async () => {
    const behind = (text: string): string => text.replace("type: embedded", "type: haproxy");
    const text = behind(readFileSync(exampleSpec, "utf8"));
    expect(text).toContain("type: haproxy");
    writeFileSync(join(cli.cwd, "own.yaml"), text);
    expect((await cli.haplan("apply own.yaml -auto-approve")).code).toBe(0);
    writeSpec("new.yaml", behind);
    const { code, err } = await cli.haplan("migrate new.yaml -auto-approve");
    expect([code, err]).toEqual([1, expect.stringContaining("HAProxy runs already")]);
    expect(existsSync(join(cli.cwd, ".haplan/demo/migration"))).toBe(false);
  });

  it.each([
    ["switched", "haplan migrate -finish"],
    ["following", "haplan migrate"],
    ["returning", "haplan migrate -rollback"],
  ])("14/4: plan and apply are refused in the phase %s, with the way out", async (phase, way) => {
    writeSpec("cluster.yaml");
    const directory = join(cli.cwd, ".haplan/demo/migration");
    mkdirSync(directory, { recursive: true });
    const record = { formatVersion: 1, phase, clusterId: "a", engine: "etcd", endpoints: ["http://127.77.65.1:2379"] };
    writeFileSync(
      join(directory, "record.json"),
      JSON.stringify({ ...record, snapshotRevision: 5, switchRevision: null }),
    );
    for (const line of ["plan", "apply -auto-approve"]) {
      const said = await refusalOf(line);
      expect(said).toContain("The migration is not complete");
      expect(said).toContain(way);
    }
    writeFileSync(join(directory, "record.json"), "{}");
    expect(await refusalOf("plan")).toContain("it is not what haplan writes");
  });
});
