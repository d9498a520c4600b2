// What takes too long for every day: the tests that have a long form, in it. `npm run build` comes before.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const tests = [
  ".long.test.ts",
  "src/apply/apply-plan.test.ts",
  "src/plan/exhaustive.test.ts",
  "src/plan/exhaustive-places.test.ts",
  "test/compatibility/differential.test.ts",
  "test/compatibility/go-client.test.ts",
  "test/compatibility/random-sessions.test.ts",
  "test/compatibility/http1-connections.test.ts",
  "test/crash",
  "test/providers",
  "test/fuzz",
  "test/simulator/simulation.test.ts",
  "test/e2e/certificates.test.ts",
];
const longForms = {
  HAPLAN_TEST_EVERYTHING: "1",
  HAPLAN_CRASH_KILLS: "25",
  HAPLAN_FUZZ_SECONDS: "40",
  HAPLAN_GATEWAY_REQUESTS: "2000",
  HAPLAN_SESSION_SECONDS: "30",
};

const { status } = spawnSync("npx", ["vitest", "run", ...tests, ...process.argv.slice(2)], {
  cwd: root,
  env: { ...longForms, ...process.env },
  stdio: "inherit",
});
process.exitCode = status ?? 1;
