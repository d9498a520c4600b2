/** The scripts that install and remove an artifact, run by this machine's shell in a directory of the test's. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendScript, installScript, receivedScript, removeScript } from "./install-scripts.ts";

let base: string;
let install: string;
let state: string;
/** Of systemd. */
let units: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "haplan-install-"));
  install = join(base, "opt");
  state = join(base, "state");
  units = join(base, "units");
  mkdirSync(units);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const run = (script: string, input?: Buffer): string =>
  execFileSync("sh", ["-c", script], { input: input ?? "", encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] }).trim();

/** Everything but the lock, and what says which clusters need it. */
const visible = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name !== ".lock" && name !== ".clusters")
    .toSorted();

const removal = (cluster = "demo"): string => removeScript({ directory: install, stateDirectory: state, cluster });

type Content = {
  readonly name: string;
  /** What its haplan-host ends with. */
  readonly exitCode?: number;
  /** Absent in artifacts of the first release. */
  readonly hostRevision?: number;
};

/** A small archive, and its digest. */
function archive({ name, exitCode = 0, hostRevision }: Content): { readonly bytes: Buffer; readonly digest: string } {
  const top = join(base, "top");
  mkdirSync(join(top, "bin"), { recursive: true });
  writeFileSync(join(top, "name"), name);
  writeFileSync(join(top, "package.json"), JSON.stringify({ name: "haplan-artifact", hostRevision }, null, 2));
  const program = `#!/bin/sh\necho cannot run >&2\nexit ${exitCode}\n`;
  writeFileSync(join(top, "bin/haplan-host"), program, { mode: 0o755 });
  const bytes = execFileSync("tar", ["-cz", "--sort=name", "--mtime=@0", "-C", base, "top"]);
  return { bytes, digest: createHash("sha256").update(bytes).digest("hex") };
}

/** How many bytes the host has received. */
const received = (digest: string): string => run(receivedScript(install, { digest, cluster: "demo" })).split(" ")[0]!;

function installed(name: string, more: Omit<Content, "name"> = {}): string {
  const { bytes, digest } = archive({ name, ...more });
  if (received(digest) === "installed") return digest;
  run(appendScript(install, digest, 0), bytes);
  run(installScript(install, { digest }, units));
  return digest;
}

function keepOnly(directory: string, kept: string): void {
  for (const name of readdirSync(directory)) if (name !== kept) rmSync(join(directory, name), { recursive: true });
}

/** A unit of systemd that runs a program of this artifact. */
function runs(unit: string, digest: string): void {
  const text = `[Service]\nExecStart="${install}/${digest}/bin/node" "${install}/${digest}/cmd/haplan-agent/main.js"\n`;
  writeFileSync(join(units, `haplan-${unit}.service`), text);
}

function errorOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return null;
}

describe("an artifact on a host", () => {
  it("is in the directory of its digest, which the link `current` leads to", () => {
    const digest = installed("one");
    expect(readlinkSync(join(install, "current"))).toBe(digest);
    expect(readFileSync(join(install, "current/name"), "utf8")).toBe("one");
    expect(received(digest)).toBe("installed");
  });

  it.each<[string, (directory: string) => void]>([
    ["a file is missing", (directory) => rmSync(join(directory, "name"))],
    ["a file is cut short", (directory) => writeFileSync(join(directory, "name"), "")],
    ["its programs are missing", (directory) => rmSync(join(directory, "bin"), { recursive: true })],
    ["its list of files is left of it", (directory) => keepOnly(directory, ".files")],
  ])("B5: is installed again where %s", (_, damage) => {
    const { bytes, digest } = archive({ name: "one" });
    installed("one");
    damage(join(install, digest));
    expect(received(digest)).toBe("0");
    run(appendScript(install, digest, 0), bytes);
    run(installScript(install, { digest }, units));
    expect(received(digest)).toBe("installed");
    expect(readFileSync(join(install, "current/name"), "utf8")).toBe("one");
    expect(visible(install)).toEqual([digest, "current"].toSorted());
  });

  it("B5: is `current` where the one that was is damaged, however new", () => {
    const newer = installed("newer", { hostRevision: 3 });
    const digest = installed("one", { hostRevision: 2 });
    expect(readlinkSync(join(install, "current"))).toBe(newer);
    rmSync(join(install, newer, "name"));
    expect(received(digest)).toBe("0");
    run(appendScript(install, digest, 0));
    run(installScript(install, { digest }, units));
    expect(readlinkSync(join(install, "current"))).toBe(digest);
  });

  it("B5: of a version without a list of its files, the programs count", () => {
    const digest = installed("one");
    rmSync(join(install, digest, ".files"));
    expect(received(digest)).toBe("0");
    const programs = ["haplan-agent", "haplan-host", "haplan-load-balancer", "haplan-worker"];
    for (const program of programs) mkdirSync(join(install, digest, "cmd", program), { recursive: true });
    for (const file of ["bin/node", ...programs.map((program) => `cmd/${program}/main.js`)])
      writeFileSync(join(install, digest, file), "", { mode: 0o755 });
    expect(received(digest)).toBe("installed");
  });

  it("is continued where its upload ended", () => {
    const { bytes, digest } = archive({ name: "one" });
    run(receivedScript(install, { digest, cluster: "demo" }));
    run(appendScript(install, digest, 0), bytes.subarray(0, 40));
    expect(received(digest)).toBe("40");
    run(appendScript(install, digest, 40), bytes.subarray(40));
    run(installScript(install, { digest }, units));
    expect(readFileSync(join(install, "current/name"), "utf8")).toBe("one");
  });

  it("is installed once by two uploads at the same time", () => {
    const { bytes, digest } = archive({ name: "one" });
    for (let upload = 0; upload < 2; upload += 1) run(receivedScript(install, { digest, cluster: "demo" }));
    run(appendScript(install, digest, 0), bytes.subarray(0, 40));
    expect(() => run(appendScript(install, digest, 0), bytes)).toThrow();
    run(appendScript(install, digest, 40), bytes.subarray(40));
    run(installScript(install, { digest }, units));
    run(appendScript(install, digest, 40), bytes.subarray(40));
    run(installScript(install, { digest }, units));
    expect(visible(install)).toEqual([digest, "current"].toSorted());
  });

  it("is refused and begun again when it is damaged on its way", () => {
    const { bytes, digest } = archive({ name: "one" });
    run(receivedScript(install, { digest, cluster: "demo" }));
    run(appendScript(install, digest, 0), Buffer.concat([bytes.subarray(1), bytes.subarray(0, 1)]));
    expect(() => run(installScript(install, { digest }, units))).toThrow();
    expect(received(digest)).toBe("0");
    expect(existsSync(join(install, "current"))).toBe(false);
  });

  it("says how much space is free where it goes", () => {
    const [, free] = run(receivedScript(install, { digest: "0".repeat(64), cluster: "demo" })).split(" ");
    expect(Number(free)).toBeGreaterThan(0);
  });

  it("F12: leaves nothing behind when it cannot be unpacked, and says why in three lines", () => {
    const bytes = Buffer.from("this is no archive");
    const digest = createHash("sha256").update(bytes).digest("hex");
    received(digest);
    run(appendScript(install, digest, 0), bytes);
    expect(errorOf(() => run(installScript(install, { digest }, units)))).toMatchObject({
      status: 93,
      stderr: expect.stringMatching(/^([^\n]+\n){1,3}$/),
    });
    expect(visible(install)).toEqual([]);
  });

  it("is not used when its programs do not run on the host", () => {
    const [before] = [installed("one")];
    expect(errorOf(() => installed("two", { exitCode: 127 }))).toMatchObject({ status: 97, stderr: "cannot run\n" });
    expect(visible(install)).toEqual([before, "current"].toSorted());
  });

  it("serves sessions unless the host has a newer haplan-host", () => {
    const current = (): string => readlinkSync(join(install, "current"));
    const [old, second] = [installed("one"), installed("two", { hostRevision: 2 })];
    expect(current()).toBe(second);
    const third = installed("three", { hostRevision: 2 });
    expect(current()).toBe(third);
    installed("four", { hostRevision: 1 });
    expect(current()).toBe(third);
    expect(installed("one")).toBe(old);
    expect(current()).toBe(third);
  });

  it("is kept while a unit runs it; of the others the newest two are, and anything else is not touched", () => {
    mkdirSync(join(install, "other"), { recursive: true });
    writeFileSync(join(install, "other/data"), "precious");
    const first = installed("one");
    runs("demo-m1-agent", first);
    const names = ["two", "three", "four", "five"].map((name) => installed(name));
    expect(visible(install)).toEqual([first, ...names.slice(1), "current", "other"].toSorted());
    writeFileSync(join(install, `${"0".repeat(64)}.part`), "");
    runs("demo-m1-agent", names[3]!);
    const last = installed("six");
    expect(visible(install)).toEqual([names[1], names[2], names[3], last, "current", "other"].toSorted());
    mkdirSync(state);
    run(removal());
    expect(readdirSync(install)).toEqual(["other"]);
    expect(readFileSync(join(install, "other/data"), "utf8")).toBe("precious");
  });

  it("is removed with its directory once no cluster is left on the host, and not before", () => {
    installed("one");
    mkdirSync(join(state, "demo/machines/m1"), { recursive: true });
    run(removal());
    expect(existsSync(join(install, "current/name"))).toBe(true);
    rmSync(join(state, "demo/machines"), { recursive: true });
    run(removal());
    expect([existsSync(install), existsSync(state)]).toEqual([false, false]);
    run(removal());
  });

  it.each([
    ["lost+found of a file system of its own", () => mkdirSync(join(state, "lost+found"), { recursive: true })],
    ["a directory of the operator", () => mkdirSync(join(state, "notes"), { recursive: true })],
    [
      "a file of the operator",
      () => {
        mkdirSync(state);
        writeFileSync(join(state, "notes"), "precious");
      },
    ],
    [
      "a link to another disk",
      () => {
        mkdirSync(join(base, "disk"));
        symlinkSync(join(base, "disk"), state);
      },
    ],
  ])("B8, B9: is removed from a host whose data directory is not haplan's alone, which stays: %s", (_, make) => {
    make();
    const others = readdirSync(state);
    installed("one");
    mkdirSync(join(state, "demo"));
    run(removal());
    expect(existsSync(install)).toBe(false);
    expect(readdirSync(state)).toEqual(others);
  });

  it("is kept beside the etcd of an archive, which units run and `current` does not lead to", () => {
    const own = installed("own");
    const top = join(base, "etcd-v3.6.14-linux-amd64");
    mkdirSync(top);
    writeFileSync(join(top, "etcd"), "#!/bin/sh\necho etcd Version: 3.6.14\n", { mode: 0o755 });
    const bytes = execFileSync("tar", ["-cz", "-C", base, "etcd-v3.6.14-linux-amd64"]);
    const digest = createHash("sha256").update(bytes).digest("hex");
    received(digest);
    run(appendScript(install, digest, 0), bytes);
    run(installScript(install, { digest, content: "etcd" }, units));
    expect(existsSync(join(install, digest, "etcd"))).toBe(true);
    expect(readlinkSync(join(install, "current"))).toBe(own);
    runs("demo-m1-agent", digest);
    for (const name of ["two", "three", "four", "five"]) installed(name);
    expect(visible(install)).toContain(digest);
    run(removal());
    expect(existsSync(install)).toBe(false);
  });

  it("M2: is removed with the rest of an upload that was cut short, and not while another cluster installs it", () => {
    const { bytes, digest } = archive({ name: "one" });
    for (const cluster of ["demo", "other"]) run(receivedScript(install, { digest, cluster }));
    run(appendScript(install, digest, 0), bytes.subarray(0, 40));
    run(removal());
    expect(received(digest)).toBe("40");
    run(removal("other"));
    run(removal("nothing-of-it"));
    expect(visible(install)).toEqual([`${digest}.part`]);
    run(removal());
    expect(existsSync(install)).toBe(false);
  });

  it("M2: is kept for machines of a cluster that an earlier version has installed it for", () => {
    installed("one");
    rmSync(join(install, ".clusters"), { recursive: true });
    mkdirSync(join(state, "other/machines/m1"), { recursive: true });
    run(removal());
    expect(existsSync(join(install, "current/name"))).toBe(true);
  });

  it("M2: takes the snapshot of a restore that was killed with it", () => {
    installed("one");
    mkdirSync(join(state, "demo/.restore"), { recursive: true });
    writeFileSync(join(state, "demo/.restore/m1.db.part"), "half");
    run(removal());
    expect([existsSync(install), existsSync(state)]).toEqual([false, false]);
  });
});
