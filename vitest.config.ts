import { configDefaults, defineConfig } from "vitest/config";

const inCi = process.env["CI"] === "true";
/** `npm run test:long` sets it; with it any of the long tests can be run alone. */
const withLongTests = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;
/** `npm run test:soak` sets it: measured on a quiet machine, and too long for CI. */
const withSoaks = process.env["HAPLAN_TEST_SOAK"] !== undefined;
const outputFile = process.env["HAPLAN_TEST_RESULTS"] ?? "test-results.json";

export default defineConfig({
  test: {
    include: ["{src,cmd,test}/**/*.test.ts"],
    exclude: [
      ...configDefaults.exclude,
      ...(withLongTests ? [] : ["**/*.long.test.ts"]),
      ...(withSoaks ? [] : ["**/*.soak.test.ts"]),
    ],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    pool: "forks",
    // No module of the house keeps state of its own, so files may share a process, and each module is read once, not
    // once for each file that tests something of it: that takes half of the run.
    isolate: false,
    // Many tests wait for real processes, elections and timeouts rather than for a processor.
    maxWorkers: 2,
    // A shared machine may stand still for longer than an election timeout. By hand, a test that fails once is a finding.
    retry: inCi ? 1 : 0,
    // The count that CI prints is read from the runner's own report.
    reporters: inCi ? ["default", ["json", { outputFile }]] : ["default"],
  },
});
