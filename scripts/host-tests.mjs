// The tests that need hosts (docs/test-hosts.md): those of every day, or `--all` of them in their long form, which takes an hour. Two files
// at a time, each on hosts and a network of its own: most of the time they wait for hosts. `npm run build` comes before.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const names = [
  "engines",
  "hosts",
  "ssh",
  "checks",
  "bare-metal-example",
  "vip",
  "lost-hosts",
  "damaged-hosts",
  "secrets",
];
const everyDay = names.map((name) => `test/hosts/${name}.soak.test.ts`);
const words = process.argv.slice(2);
const all = words.includes("--all");
const tests = all ? ["test/hosts"] : everyDay;
const flags = words.filter((word) => word !== "--all");
const longForms = all ? { HAPLAN_TEST_ALL_HOSTS: "1" } : {};

const { status } = spawnSync("npx", ["vitest", "run", ...tests, ...flags], {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  env: { ...longForms, ...process.env, HAPLAN_TEST_EVERYTHING: "1", HAPLAN_TEST_SOAK: "1" },
  stdio: "inherit",
});
process.exitCode = status ?? 1;
