/** Commands on a spec whose hosts come from another tool. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
const inSpecDir = (name: string): string => join(cli.cwd, "cluster", name);

/** The masters of the example, as a command prints them in its own directory. */
function writeSpec(masters: readonly string[], members = ""): void {
  const list = masters.map((name) => ({ name, address: `127.0.1.${name.slice(1)}` }));
  writeFileSync(
    inSpecDir("hosts"),
    `#!/bin/sh\necho run >> runs\ncat <<END\n${JSON.stringify({ masters: list })}\nEND\n`,
  );
  chmodSync(inSpecDir("hosts"), 0o755);
  const text = readFileSync(join(cli.cwd, "three.yaml"), "utf8");
  const from = "    masters: { hostsFrom: { command: [./hosts], path: masters } }\n";
  writeFileSync(
    inSpecDir("from.yaml"),
    text.replace(/^ {4}members:.*\n/m, members).replace(/^ {4}masters:\n(?: {6,}.*\n)+/m, from),
  );
}

beforeEach(() => {
  cli = createCliFixture();
  mkdirSync(join(cli.cwd, "cluster"));
  writeSpec(["m1", "m2", "m3"]);
});
afterEach(() => cli.remove());

it("a spec with hostsFrom is applied, and its order does not matter", async () => {
  expect(await cli.haplan("validate cluster/from.yaml")).toMatchObject({ code: 0 });
  expect(await cli.haplan("apply -auto-approve cluster/from.yaml")).toMatchObject({ code: 0 });
  writeSpec(["m3", "m1", "m2"]);
  expect((await cli.haplan("plan cluster/from.yaml")).out).toContain("No changes.");
  // One more master than three is refused as in any other spec.
  writeSpec(["m1", "m2", "m3", "m4"]);
  const { code, err } = await cli.haplan("plan cluster/from.yaml");
  expect(code).toBe(1);
  expect(err).toContain("A control plane of 4 members is not allowed");
  expect(err.replaceAll(/\n│ ?/g, " ")).toContain(
    "The value comes from masters (the output of `./hosts`, line 1, column 12).",
  );
  writeSpec(["m1", "m2", "m3", "m4"], "    members: 3\n");
  const other = await cli.haplan("validate cluster/from.yaml");
  expect(other.err).toContain("members is 3, but 4 masters are listed");
  expect(other.err).toContain("The list comes from masters (the output of `./hosts`");
});

it("a saved plan has its hosts, and commands that need no spec run no command", async () => {
  await cli.haplan("plan -out=three.plan cluster/from.yaml");
  rmSync(inSpecDir("runs"));
  expect(await cli.haplan("apply three.plan")).toMatchObject({ code: 0 });
  expect(await cli.haplan("status -state-only=demo")).toMatchObject({ code: 0 });
  expect(await cli.haplan("fmt -check cluster/from.yaml")).toMatchObject({ code: 0 });
  expect(existsSync(inSpecDir("runs"))).toBe(false);
});

it("destroy names the command that needs no hosts when these cannot be read", async () => {
  await cli.haplan("apply -auto-approve cluster/from.yaml");
  writeFileSync(inSpecDir("hosts"), "#!/bin/sh\necho no credentials >&2\nexit 4\n");
  const { code, err } = await cli.haplan("destroy -auto-approve cluster/from.yaml");
  expect(code).toBe(1);
  expect(err).toContain("`./hosts` ended with exit code 4");
  expect(err).toContain("no credentials");
  expect(err).toContain("    haplan destroy -state-only=demo");
});
