/** `haplan status` and `haplan backups` say how the last backup of the schedule ended, as the members' logs have it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LogEvent } from "../../src/providers/log-entry.ts";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
/** What each member has logged, with the minutes since then. */
let logged: Readonly<Record<string, readonly (readonly [minutes: number, message: string])[]>>;
beforeEach(async () => {
  cli = createCliFixture();
  logged = {};
  cli.openProvider = (_, inMemory) => ({
    ...inMemory,
    logs: async function* (machine): AsyncGenerator<LogEvent> {
      const name = typeof machine === "string" ? machine : machine.name;
      if (logged[name] === undefined) throw new Error("no route to host");
      for (const [minutes, message] of logged[name])
        yield { machine: name, unit: "agent", timeMs: Date.now() - minutes * 60_000 - 1_000, message };
      yield "current";
    },
  });
  const path = join(cli.cwd, "three.yaml");
  const schedule = `{ everyMinutes: 60, directory: ${cli.cwd}/backups, keyFile: ${cli.cwd}/backup.key }`;
  writeFileSync(path, `${readFileSync(path, "utf8").trimEnd()}\n  backup: { schedule: ${schedule} }\n`);
  await cli.haplan("apply three.yaml -auto-approve");
});
afterEach(() => cli.remove());

const taken = '{"level":"info","path":"/b/1.db","msg":"took a backup"}';
const failed =
  '{"level":"error","error":"Cannot read backup.schedule.keyFile: ENOENT","msg":"could not take a backup"}';

it.each<[string, typeof logged, string, object]>([
  [
    "failed after one was taken",
    { m1: [[65, taken]], m2: [[5, failed]], m3: [[30, "not JSON"]] },
    "Scheduled backups: the last one failed on m2, 5 minutes ago: Cannot read backup.schedule.keyFile: ENOENT",
    { member: "m2", failure: "Cannot read backup.schedule.keyFile: ENOENT", unread: [] },
  ],
  [
    "was taken after one failed",
    { m1: [[65, failed]], m2: [[5, taken]], m3: [] },
    "Scheduled backups: m2 took the last one 5 minutes ago.",
    { member: "m2", failure: null, unread: [] },
  ],
  [
    "is not in the logs that could be read",
    { m1: [], m2: [] },
    "Scheduled backups: no member has taken one in the last 2 hours. The log of m3 could not be read.",
    { member: null, time: null, failure: null, unread: ["m3"] },
  ],
])("the last one %s", async (_, logs, said, fields) => {
  logged = logs;
  for (const verb of ["status", "backups"]) expect((await cli.haplan(`${verb} three.yaml`)).out).toContain(said);
  const json = async (verb: string): Promise<Record<string, unknown>> =>
    JSON.parse((await cli.haplan(`${verb} three.yaml -json`)).out);
  expect((await json("status"))["last_scheduled_backup"]).toMatchObject(fields);
  expect((await json("backups"))["last_scheduled"]).toMatchObject(fields);
});

it("a plan that restarts members for another key says which setting changes", async () => {
  const path = join(cli.cwd, "three.yaml");
  writeFileSync(path, readFileSync(path, "utf8").replace("/backup.key", "/other.key"));
  const { out } = await cli.haplan("plan three.yaml");
  expect(out).toContain(
    [
      "      ~ backup_schedule = {",
      `          ~ key_file = "${cli.cwd}/backup.key" -> "${cli.cwd}/other.key",`,
      "            # (2 unchanged entries hidden)",
      "        }",
    ].join("\n"),
  );
});

it("a plan that ends the cluster says which backups stay, and where", async () => {
  const { out, err } = await cli.haplan("destroy three.yaml -auto-approve");
  const said = (out + err).replaceAll(/[│\s]+/g, " ");
  expect(said).toContain("The backups that the members took by themselves stay");
  expect(said).toContain(`${cli.cwd}/backups on m1 (127.0.1.1), m2 (127.0.1.2), m3 (127.0.1.3)`);
});
