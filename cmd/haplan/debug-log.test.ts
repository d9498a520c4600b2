import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { createCliFixture } from "../../test/support/command-line.ts";
import { redactedWords } from "./debug-log.ts";

const cli = createCliFixture();
const { haplan } = cli;
afterAll(() => cli.remove());
beforeEach(() => {
  for (const name of Object.keys(cli.environment)) delete cli.environment[name];
});

const line = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[(TRACE|DEBUG|INFO|WARN|ERROR)\] \S.*$/;
/** The lines of a run that belong to the log. */
const logged = (err: string): readonly string[] => err.split("\n").filter((text) => line.test(text));

describe("T low: HAPLAN_LOG", () => {
  it.each([
    ["TRACE", ["TRACE", "DEBUG", "INFO"]],
    ["debug", ["DEBUG", "INFO"]],
    ["INFO", ["INFO"]],
    ["WARN", []],
    ["ERROR", []],
    ["OFF", []],
    ["", []],
  ])("%s writes its level and those above it to standard error", async (level, expected) => {
    cli.environment["HAPLAN_LOG"] = level;
    const { code, out, err } = await haplan("plan three.yaml");
    expect(code).toBe(0);
    expect(out).not.toMatch(/\[(TRACE|DEBUG|INFO)\]/);
    expect([...new Set(logged(err).map((text) => line.exec(text)?.[1]))].sort()).toEqual(expected.toSorted());
  });

  it("contains the command line, the cluster, each call with its duration and the exit code", async () => {
    cli.environment["HAPLAN_LOG"] = "debug";
    const { err } = await haplan("plan three.yaml");
    const lines = logged(err).map((text) => text.slice(25));
    expect(lines[0]).toMatch(
      /^\[INFO\] haplan: version=9\.9\.9 node=v\d\S* arguments=plan,three\.yaml directory=\/\S+$/,
    );
    expect(lines).toContainEqual(expect.stringMatching(/^\[INFO\] cluster: name=demo spec=three\.yaml state=\/\S+$/));
    expect(lines).toContainEqual(expect.stringMatching(/^\[DEBUG\] state\.read: duration_ms=\d+$/));
    expect(lines).toContainEqual(expect.stringMatching(/^\[DEBUG\] provider\.observe: duration_ms=\d+$/));
    expect(lines.at(-1)).toBe("[INFO] exit: code=0");
  });

  it("uses TRACE for an unknown level, as Terraform does, with a warning", async () => {
    cli.environment["HAPLAN_LOG"] = "1";
    const { code, err } = await haplan("validate three.yaml");
    expect(code).toBe(0);
    expect(err).toContain("[WARN] HAPLAN_LOG=1 is not a log level: using TRACE. Levels are TRACE, DEBUG,");
  });

  it("JSON writes each line as an object", async () => {
    cli.environment["HAPLAN_LOG"] = "json";
    const { err } = await haplan("plan three.yaml");
    const objects = err.split("\n").flatMap((text) => (text.startsWith('{"@level"') ? [JSON.parse(text)] : []));
    expect(objects[0]).toMatchObject({ "@level": "info", "@message": "haplan", "@module": "haplan", version: "9.9.9" });
    expect(objects.some((each) => each["@level"] === "trace")).toBe(true);
  });

  it("HAPLAN_LOG_PATH appends to a file of its own mode, and does nothing without HAPLAN_LOG", async () => {
    cli.environment["HAPLAN_LOG_PATH"] = "log.txt";
    await haplan("validate three.yaml");
    expect(() => statSync(join(cli.cwd, "log.txt"))).toThrow("ENOENT");
    cli.environment["HAPLAN_LOG"] = "info";
    const { err } = await haplan("validate three.yaml");
    await haplan("plan nowhere.yaml");
    expect(logged(err)).toEqual([]);
    expect(statSync(join(cli.cwd, "log.txt")).mode & 0o777).toBe(0o600);
    const text = readFileSync(join(cli.cwd, "log.txt"), "utf8");
    expect(text.match(/\[INFO\] exit: code=/g)).toHaveLength(2);
    expect(text).toContain("[ERROR] Error: There is no file nowhere.yaml");
  });

  it.each([
    ["a file that cannot be written", "nowhere/log.txt", 1, "Cannot write nowhere/log.txt, given with HAPLAN_LOG_PATH"],
    ["a full disk", "/dev/full", 0, "Cannot write /dev/full, given with HAPLAN_LOG_PATH: ENOSPC"],
  ])("reports %s", async (_, path, expected, message) => {
    cli.environment["HAPLAN_LOG"] = "info";
    cli.environment["HAPLAN_LOG_PATH"] = path;
    const { code, err } = await haplan("validate three.yaml");
    expect(code).toBe(expected);
    expect(err.split(message)).toHaveLength(2);
  });

  it("contains no secret of an apply, including a failed one", async () => {
    writeFileSync(
      join(cli.cwd, "secret.yaml"),
      readFileSync(join(cli.cwd, "three.yaml"), "utf8")
        .replace("name: demo", `name: "\${NAME}"`)
        .replace("spec:\n", "spec:\n  state: { encryption: { passphraseEnv: PASSPHRASE } }\n"),
    );
    Object.assign(cli.environment, {
      HAPLAN_LOG: "trace",
      HAPLAN_LOG_PATH: "secrets.txt",
      HAPLAN_ETCD_USER: "root",
      HAPLAN_ETCD_PASSWORD: "secret-password-of-root",
      PASSPHRASE: "secret-passphrase-of-state",
      HAPLAN_CLI_ARGS_apply: "-var TOKEN=secret-of-environment",
    });
    await haplan(["apply", "secret.yaml", "-auto-approve", "-var=NAME=secret-name"]);
    delete cli.environment["HAPLAN_CLI_ARGS_apply"];
    expect((await haplan(["apply", "secret.yaml", "-auto-approve", "-var", "NAME=demo"])).code).toBe(0);
    const text = readFileSync(join(cli.cwd, "secrets.txt"), "utf8");
    expect(text).toContain("provider.startUnit");
    expect(text).toContain("members.observe");
    for (const secret of ["secret-", "PRIVATE KEY", "BEGIN CERTIFICATE"]) expect(text).not.toContain(secret);
  });
});

describe("the command line in the log", () => {
  it.each([
    ["-var NAME=secret", "-var NAME=(not shown)"],
    ["-var=NAME=secret", "-var=NAME=(not shown)"],
    ["-vars NAME=secret", "-vars NAME=(not shown)"],
    ["-Var=NAME=secret", "-Var=NAME=(not shown)"],
    ["-var secret", "-var (not shown)"],
    ["-target=haplan_agent.m1 three.yaml", "-target=haplan_agent.m1 three.yaml"],
  ])("of %s is %s", (typed, shown) => {
    expect(redactedWords(typed.split(" ")).join(" ")).toBe(shown);
  });

  it("contains no value of a variable that is written with spaces, nor does the error", async () => {
    cli.environment["HAPLAN_LOG"] = "trace";
    const { code, err } = await haplan(["plan", "three.yaml", "-var", "A = hunter2"]);
    expect(code).toBe(1);
    expect(err).toContain("A -var has no value");
    expect(err).not.toContain("hunter2");
  });
});
