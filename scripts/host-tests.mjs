// The tests that need hosts (docs/test-hosts.md): those of every day, or `--all` of them, which takes half an hour. Two files
// at a time, each on hosts and a network of its own: most of the time they wait for hosts. `npm run build` comes before.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const everyDay = ["hosts", "ssh", "checks", "bare-metal-example", "vip", "lost-hosts", "damaged-hosts", "secrets"].map(
  (name) => `test/hosts/${name}.soak.test.ts`,
);
const words = process.argv.slice(2);
const tests = words.includes("--all") ? ["test/hosts"] : everyDay;
const flags = words.filter((word) => word !== "--all");

const { status } = spawnSync("npx", ["vitest", "run", ...tests, ...flags], {
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  env: { ...process.env, HAPLAN_TEST_EVERYTHING: "1", HAPLAN_TEST_SOAK: "1" },
  stdio: "inherit",
});
process.exitCode = status ?? 1;
