// The tests that need hosts (docs/test-hosts.md): those of every run and one of the parts that CI takes in turn, or `--all` of them in
// their long form, which takes an hour. Two files at a time, each on hosts and a network of its own: most of the time they wait for
// hosts. `npm run build` comes before.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const everyRun = ["engines", "hosts", "ssh", "checks", "bare-metal-example", "vip", "secrets"];
/** With `HAPLAN_TEST_ALL_HOSTS` the tests run that are otherwise left to `--all`; only those of engines have some here. */
const parts = [
  { names: ["damaged-hosts", "lost-hosts"] },
  { names: ["migrate"], environment: { HAPLAN_TEST_ALL_HOSTS: "1" } },
  { names: ["upgrade", "cut-connections"] },
  { names: ["upgrade"], environment: { HAPLAN_TEST_MASTERS: "5" }, earlier: true },
];

const root = fileURLToPath(new URL("..", import.meta.url));
/** How many commits ago the artifact was built that an upgrade begins with. */
const commitsAgo = 40;

/** Builds haplan of an earlier commit in a directory of its own. Null where the history is not here. */
function earlierArtifact(directory) {
  const run = (program, args, cwd) => execFileSync(program, args, { cwd, stdio: ["ignore", "ignore", "inherit"] });
  try {
    run("git", ["rev-parse", "--verify", `HEAD~${commitsAgo}`], root);
  } catch {
    return null;
  }
  const archive = join(directory, "source.tar");
  run("git", ["archive", `--output=${archive}`, `HEAD~${commitsAgo}`], root);
  run("tar", ["-xf", archive], directory);
  run("npm", ["ci", "--silent", "--no-audit", "--no-fund"], directory);
  run("npm", ["run", "build"], directory);
  const file = join(directory, "earlier.tar.gz");
  run("node", ["dist/cmd/haplan/main.js", "artifact", `-out=${file}`], directory);
  return file;
}

const words = process.argv.slice(2);
const number = Number(process.env.HAPLAN_TEST_HOSTS_PART ?? 0);
const { names, environment, earlier } = words.includes("--all")
  ? { names: null, environment: { HAPLAN_TEST_ALL_HOSTS: "1" } }
  : parts[number % parts.length];
const built = earlier ? mkdtempSync(join(tmpdir(), "haplan-earlier-")) : null;
const artifact = built === null ? null : earlierArtifact(built);
const tests =
  names === null ? ["test/hosts"] : [...everyRun, ...names].map((name) => `test/hosts/${name}.soak.test.ts`);

const { status } = spawnSync("npx", ["vitest", "run", ...tests, ...words.filter((word) => word !== "--all")], {
  cwd: root,
  env: {
    ...environment,
    ...(artifact === null ? {} : { HAPLAN_TEST_EARLIER_ARTIFACT: artifact }),
    HAPLAN_TEST_DEFECT: `${number}`,
    ...process.env,
    HAPLAN_TEST_EVERYTHING: "1",
    HAPLAN_TEST_SOAK: "1",
  },
  stdio: "inherit",
});
if (built !== null) rmSync(built, { recursive: true, force: true });
process.exitCode = status ?? 1;
