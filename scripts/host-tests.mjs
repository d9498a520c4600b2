// The tests that need hosts (docs/test-hosts.md): those of every run and one of the parts that CI takes in turn, or `--all` of them in
// their long form, which takes an hour. Two files at a time, each on hosts and a network of its own: most of the time they wait for
// hosts. `npm run build` comes before.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const everyRun = ["engines", "hosts", "ssh", "checks", "bare-metal-example", "vip", "secrets"];
/** With `HAPLAN_TEST_ALL_HOSTS` the tests run that are otherwise left to `--all`; only those of engines have some here. */
const parts = [
  { names: ["damaged-hosts", "lost-hosts"], environment: {} },
  { names: [], environment: { HAPLAN_TEST_ALL_HOSTS: "1" } },
  { names: ["upgrade", "cut-connections"], environment: {} },
];

const words = process.argv.slice(2);
const number = Number(process.env.HAPLAN_TEST_HOSTS_PART ?? 0);
const { names, environment } = words.includes("--all")
  ? { names: null, environment: { HAPLAN_TEST_ALL_HOSTS: "1" } }
  : parts[number % parts.length];
const tests =
  names === null ? ["test/hosts"] : [...everyRun, ...names].map((name) => `test/hosts/${name}.soak.test.ts`);

const { status } = spawnSync("npx", ["vitest", "run", ...tests, ...words.filter((word) => word !== "--all")], {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  env: { ...environment, ...process.env, HAPLAN_TEST_EVERYTHING: "1", HAPLAN_TEST_SOAK: "1" },
  stdio: "inherit",
});
process.exitCode = status ?? 1;
